// STOMP: work queues. Producers send orders within transactions, workers acknowledge each one, nothing may get lost.
//
//   squall run -e URL=ws://127.0.0.1:15674/ws examples/kits-stomp.js
//
// The broker is RabbitMQ with the plugin rabbitmq_web_stomp and its user guest, or another one with STOMP over WebSocket.
// On k6: copy kits/stomp.js here and import './stomp.js'.
import { check } from 'k6';
import { Trend } from 'k6/metrics';
import { setTimeout } from 'k6/timers';
import { connect } from 'squall/stomp';

const url = __ENV.URL || 'ws://127.0.0.1:15674/ws';
const login = { login: __ENV.LOGIN || 'guest', passcode: __ENV.PASSCODE || 'guest', host: '/' };
const BATCHES = 5;
const BATCH = 4;

export const options = {
  vus: 3,
  iterations: 3,
  thresholds: { stomp_confirmed: ['rate==1'], stomp_errors: ['count==0'], order_age: ['p(95)<2000'] },
};

const age = new Trend('order_age', true);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default async function () {
  const queue = `/queue/orders-${__VU}`;
  const worker = connect(url, Object.assign({ heartbeat: [5000, 5000] }, login));
  const producer = connect(url, login);
  const numbers = [];

  const work = (message) => {
    const order = message.json();
    age.add(Date.now() - order.at);
    numbers.push(order.number);
    message.ack();
  };
  const headers = { 'prefetch-count': 2, 'auto-delete': true };
  await worker.subscribe(queue, work, { ack: 'client-individual', receipt: true, headers }).done;
  for (let batch = 0; batch < BATCHES; batch++) {
    const transaction = producer.begin();
    for (let i = 0; i < BATCH; i++)
      transaction.send(queue, { number: batch * BATCH + i, at: Date.now() }, { headers: { 'auto-delete': true } });
    await transaction.commit({ receipt: true });
  }
  for (let i = 0; i < 100 && numbers.length < BATCHES * BATCH; i++) await pause(50);
  check(numbers, { 'every order came once, in order': (n) => n.length === BATCHES * BATCH && n.every((x, i) => x === i) });
  await producer.end();
  await worker.end();
}
