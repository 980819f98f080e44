// Phoenix channels: everybody joins the lobby, shouts, and must hear every shout of his own.
//
//   squall run -e URL=ws://127.0.0.1:4000/socket examples/kits-phoenix.js
//
// The server has a channel `room:*` that broadcasts `shout` and answers `echo` with what it got.
// On k6: copy kits/phoenix.js here and import './phoenix.js'.
import { check } from 'k6';
import { setTimeout } from 'k6/timers';
import { connect } from 'squall/phoenix';

const url = __ENV.URL || 'ws://127.0.0.1:4000/socket';
const SHOUTS = 10;

export const options = {
  vus: 4,
  iterations: 4,
  thresholds: { phoenix_acked: ['rate==1'], phoenix_errors: ['count==0'], phoenix_join: ['p(95)<1000'] },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default async function () {
  const client = connect(url, { query: { user: __VU }, heartbeat: 10000 });
  const lobby = client.channel('room:lobby');
  const mine = [];

  lobby.on('shout', (message) => {
    if (message.from === __VU) mine.push(message.number);
  });
  const response = await lobby.join();
  check(response, { 'the lobby knows its members': (r) => r.members > 0 });
  for (let number = 0; number < SHOUTS; number++) {
    await lobby.push('shout', { from: __VU, number });
    await pause(20);
  }
  await lobby.push('echo', {});
  check(mine, { 'heard every own shout in order': (list) => list.length === SHOUTS && list.every((n, i) => n === i) });
  await lobby.leave();
  client.disconnect();
}
