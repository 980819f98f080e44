// SPDX-License-Identifier: Apache-2.0
// Work for the processor only: each iteration reads and writes JSON as a handler of messages does.
// -e EXECUTOR=per-vu-iterations|shared-iterations|constant-vus -e VUS=40 -e ITERATIONS=200 -e ROUNDS=40
const vus = Number(__ENV.VUS);
const iterations = Number(__ENV.ITERATIONS);
const rounds = Number(__ENV.ROUNDS);
const load = { executor: __ENV.EXECUTOR, vus };
if (load.executor === 'constant-vus') {
  load.duration = '2s';
} else {
  Object.assign(load, { iterations, maxDuration: '10m' });
}

export const options = { scenarios: { load } };

const message = JSON.stringify({
  type: 'order', id: 12345, user: { name: 'someone', tags: ['a', 'b', 'c'] },
  items: Array.from({ length: 20 }, (_, i) => ({ sku: `item-${i}`, count: i, price: i * 1.25 })),
});

export default function () {
  let sum = 0;
  for (let i = 0; i < rounds; i++) {
    const order = JSON.parse(message);
    order.total = order.items.reduce((total, item) => total + item.count * item.price, 0);
    sum += JSON.stringify(order).length;
  }
  if (sum === 0) {
    throw new Error('nothing was done');
  }
}
