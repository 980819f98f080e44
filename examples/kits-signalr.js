// SignalR: a dashboard that watches a stream while it calls the hub, as a page with live figures does.
//
//   squall run -e URL=http://127.0.0.1:5000/hub examples/kits-signalr.js
//
// The hub has the methods Echo(value), Broadcast(...) that calls Message(...) of all clients, and the stream Count(to).
// On k6: copy kits/signalr.js here and import './signalr.js'.
import { check } from 'k6';
import { connect } from 'squall/signalr';

const url = __ENV.URL || 'http://127.0.0.1:5000/hub';

export const options = {
  vus: 3,
  iterations: 6,
  thresholds: {
    signalr_succeeded: ['rate==1'],
    'signalr_invocation{method:Echo}': ['p(95)<1000'],
    signalr_first_item: ['p(95)<1000'],
  },
};

export default async function () {
  const hub = connect(url, { accessToken: `user ${__VU}`, invocationTimeout: 5000 });
  const figures = [];
  let news = 0;

  hub.on('Message', (from) => {
    if (from === __VU) news += 1;
  });
  hub.onclose = (error) => check(error, { 'we stopped ourselves': (e) => e === null });
  await hub.ready();
  const stream = hub.stream('Count', [20], { next: (figure) => figures.push(figure) });
  for (let i = 0; i < 5; i++) {
    const answer = await hub.invoke('Echo', { click: i });
    check(answer, { 'the click was answered': (a) => a.click === i });
    await hub.invoke('Broadcast', __VU, i);
  }
  await stream.done;
  check(figures, { 'no figure is missing': (list) => list.length === 20 && list.every((x, i) => x === i) });
  check(news, { 'heard every own broadcast': (n) => n === 5 });
  hub.stop();
}
