// The knobs, read and checked in one place.

interface Env {
  readonly url: string;
  readonly riders: number;
  readonly rides: number;
  readonly drivers: number;
  readonly decline: number;
  readonly steps: number;
  readonly stepMs: number;
  readonly idleMs: number;
}

function numeric(name: string, fallback: number): number {
  const text: string | undefined = __ENV[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!(value >= 0)) throw new Error(`${name}: '${text}' is not a number of at least 0`);
  return value;
}

export const env: Env = {
  url: (__ENV.URL ?? 'ws://127.0.0.1:8765').replace(/\/+$/, ''),
  riders: numeric('RIDERS', 8),
  rides: numeric('RIDES', 2),
  drivers: numeric('DRIVERS', 4),
  decline: numeric('DECLINE', 0.2),
  steps: numeric('STEPS', 10),
  stepMs: numeric('STEP_MS', 50),
  idleMs: numeric('IDLE_MS', 3000),
};
