export const options = {
  scenarios: {
    ramp: {
      executor: 'ramping-vus', startVUs: 1, gracefulRampDown: '5s', exec: 'ramp', tags: { a: 'b' }, env: { K: 'V' },
      stages: [{ duration: '1m30s', target: 20 }, { duration: 30000, target: 0 }],
    },
    rate: { executor: 'constant-arrival-rate', rate: 30, timeUnit: '1m', duration: '2m', preAllocatedVUs: 5, maxVUs: 9,
            startTime: '10s' },
  },
  thresholds: { ws_connecting: ['p(95)<500', { threshold: 'max<2000', abortOnFail: true, delayAbortEval: '10s' }] },
  tags: { team: 'blue' },
  systemTags: ['url', 'status', 'scenario'],
  summaryTrendStats: ['avg', 'p(99)'],
  hosts: { 'a.test': '127.0.0.1', 'b.test:443': '127.0.0.1:8443' },
  dns: { ttl: '1m', select: 'first', policy: 'onlyIPv4' },
  blacklistIPs: ['10.0.0.0/8'],
  blockHostnames: ['*.test'],
  tlsVersion: { min: 'tls1.2', max: 'tls1.3' },
  userAgent: 'mine/1.0',
  minIterationDuration: '1.5s',
  setupTimeout: 90000,
  insecureSkipTLSVerify: true,
  noConnectionReuse: true,
};
export function ramp() {}
export default function () {}
