// Everything that a summary shows, with values that are the same in every run.
import { check, group } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';

const orders = new Counter('my_orders');
const bytes = new Counter('my_bytes');
const queue = new Gauge('my_queue');
const hits = new Rate('my_hits');
const plain = new Trend('my_plain');
const wait = new Trend('my_wait', true);
const own = new Counter('ws_own');
const never = new Trend('my_never', true);

export const options = {
  scenarios: {
    first: { executor: 'per-vu-iterations', iterations: 4 },
    second: { executor: 'per-vu-iterations', iterations: 2, exec: 'second', startTime: '200ms' },
  },
  thresholds: {
    my_orders: ['count==10', 'count<5'],
    'my_orders{kind:big}': ['count==7'],
    my_hits: ['rate>0.2'],
    my_wait: ['p(95)<400', 'max<=400', 'avg>1000'],
    'my_wait{kind:big}': ['med==200'],
    'my_never{a:b}': ['p(95)<10'],
    checks: ['rate>0.5'],
  },
};

export default function () {
  const n = __ITER + 1;
  const kind = n % 2 ? 'small' : 'big';
  orders.add(n, { kind: n > 2 ? 'big' : 'small' });
  bytes.add(1e6 * n);
  queue.add([3, -2, 7.25, 5][__ITER]);
  hits.add(n === 2);
  plain.add([0.5, 1e-7, 123456.789, 3][__ITER]);
  wait.add(100 * n, { kind });
  check(n, { 'is positive': (v) => v > 0, 'is even': (v) => v % 2 === 0 });
  group('outer', () => {
    group('inner', () => check(n, { 'deep down': (v) => v < 4 }));
    check(n, { 'is positive': (v) => v > 0 });
  });
}

export function second() {
  own.add(1);
  group('outer', () => check(0, { second: () => true }));
}

export function teardown() {
  never.add(1);
}
