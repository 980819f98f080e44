// A TypeScript project: a ride dispatcher with riders and drivers, in modules of their own, with types for every message.
//
// The system: riders ask for a car, the dispatcher offers the ride to an idle driver, who accepts or declines; the driver's
// position goes to the rider until they arrive. Two scenarios play the two sides against the same server.
//
//   main.ts          options, and which function each scenario runs
//   src/protocol.ts  the messages, as types: a misspelt field is an error in the editor, not a mystery in the test
//   src/peer.ts      a connection that sends and receives typed messages
//   src/rider.ts, src/driver.ts, src/metrics.ts
//
// What it teaches: modules are imported with their extension (./src/rider.ts); types vanish when the script is loaded and are
// not checked then, that is the editor's work (`npm install && npx tsc` in this folder); errors tell file, line and column
// of the .ts. What it measures: time to a driver (ride_wait), rides that nobody took (ride_unserved), positions on the way
// that never came (ride_positions_missed), and how often drivers declined.
//
//   tests/servers/serve rides &
//   squall run examples/gallery/typescript-project/main.ts
//
// Knobs (-e NAME=value): URL, RIDERS, RIDES per rider, DRIVERS, DECLINE (share of declined offers, 0 to 1), STEPS per ride,
// STEP_MS between positions, IDLE_MS after which a driver without offers goes home.
import type { Options } from 'k6/options';
import { env } from './src/env.ts';

export { drive } from './src/driver.ts';
export { ride } from './src/rider.ts';

export const options: Options = {
  scenarios: {
    drivers: { executor: 'per-vu-iterations', exec: 'drive', vus: env.drivers, iterations: 1, maxDuration: '2m' },
    riders: { executor: 'per-vu-iterations', exec: 'ride', vus: env.riders, iterations: env.rides, maxDuration: '2m' },
  },
  thresholds: {
    ride_unserved: ['count==0'],
    ride_positions_missed: ['count==0'],
    ride_wait: ['p(95)<10000'],
    'ride_offers{answer:declined}': ['count>=0'],
    'ride_offers{answer:accepted}': ['count>=0'],
    checks: ['rate==1'],
  },
};
