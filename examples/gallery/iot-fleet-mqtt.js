// An IoT fleet over MQTT: devices that report, a control room that listens, commands, and devices that vanish.
//
// The system: sensors publish readings with QoS 1 and leave a will with the broker, which the broker publishes if a device
// goes without saying goodbye. The control room says on a retained topic that it is open, takes all readings, and sends each
// device a command, which the device confirms. The broker is any with MQTT 5 over WebSocket.
//
// What it measures: the age of a reading on arrival (iot_reading_age), the time from a command to its confirmation, over
// the broker twice (iot_command_time), readings that never came, by their numbers (iot_readings_lost), and devices of which
// the broker published the will (iot_devices_lost). The kit adds mqtt_publish_ack, mqtt_acked and more: docs/kits/mqtt.md.
//
//   tests/servers/serve mqtt &
//   squall run examples/gallery/iot-fleet-mqtt.js
//
// Try -e VANISH=3: three devices break off in the middle, and iot_devices_lost must be 3; the run ends with exit code 99.
// Knobs (-e NAME=value): URL, DEVICES, READINGS per device, PAUSE_MS between them, VANISH.
// On k6: copy kits/mqtt.js here and import './mqtt.js'.
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { setTimeout, clearTimeout } from 'k6/timers';
import { connect } from 'squall/mqtt';

const url = `${(__ENV.URL || 'ws://127.0.0.1:8765').replace(/\/+$/, '')}/mqtt`;
const DEVICES = Number(__ENV.DEVICES || 20);
const READINGS = Number(__ENV.READINGS || 20);
const PAUSE_MS = Number(__ENV.PAUSE_MS || 100);
const VANISH = Number(__ENV.VANISH || 0);

const readingAge = new Trend('iot_reading_age', true);
const commandTime = new Trend('iot_command_time', true);
const readings = new Counter('iot_readings');
const readingsLost = new Counter('iot_readings_lost');
const devicesLost = new Counter('iot_devices_lost');

export const options = {
  scenarios: {
    control: { executor: 'per-vu-iterations', exec: 'control', vus: 1, iterations: 1, maxDuration: '2m' },
    fleet: { executor: 'per-vu-iterations', exec: 'device', vus: DEVICES, iterations: 1, maxDuration: '2m' },
  },
  thresholds: {
    mqtt_acked: ['rate==1'],
    iot_reading_age: ['p(95)<500'],
    iot_command_time: ['p(95)<1000'],
    iot_readings_lost: ['count==0'],
    iot_devices_lost: ['count==0'],
    checks: ['rate==1'],
  },
};

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A promise and the function that keeps it.
function signal() {
  let keep;
  const promise = new Promise((resolve) => (keep = resolve));
  return { promise, keep };
}

export async function control() {
  const client = connect(url, { version: '5', clientId: 'control-room' });
  const devices = new Map(); // name to { last, commandAt, gone }
  const everybodyGone = signal();

  function gone(device) {
    device.gone = true;
    if (devices.size === DEVICES && [...devices.values()].every((d) => d.gone)) everybodyGone.keep(true);
  }
  const handle = {
    reading(device, reading, name) {
      readings.add(1);
      readingAge.add(Date.now() - reading.at);
      readingsLost.add(reading.number - device.last - 1);
      device.last = reading.number;
      if (device.commandAt) return;
      device.commandAt = Date.now();
      client.publish(`fleet/${name}/command`, { set: 'interval', to: PAUSE_MS }, { qos: 1 });
    },
    done: (device) => commandTime.add(Date.now() - device.commandAt),
    bye(device, last) {
      readingsLost.add(last.number - device.last);
      gone(device);
    },
    lost(device) {
      devicesLost.add(1);
      gone(device);
    },
  };
  client.on('message', (message) => {
    const [, name, kind] = message.topic.split('/');
    if (!devices.has(name)) devices.set(name, { last: 0, commandAt: 0, gone: false });
    handle[kind](devices.get(name), message.json(), name);
  });
  client.on('error', (error) => console.error(error.message));

  await client.subscribe(['fleet/+/reading', 'fleet/+/done', 'fleet/+/bye', 'fleet/+/lost'], { qos: 1 });
  await client.publish('control/open', 'yes', { qos: 1, retain: true }); // also for those that come later
  const guard = setTimeout(() => everybodyGone.keep(false), READINGS * PAUSE_MS * 2 + 20000);
  check(await everybodyGone.promise, { 'heard the end of every device': (heard) => heard });
  clearTimeout(guard);
  await client.publish('control/open', '', { qos: 1, retain: true }); // takes the retained message back
  client.end();
}

export async function device() {
  // VUs are numbered over all scenarios; any VANISH of them will do.
  const vanishes = exec.scenario.iterationInTest < VANISH;
  const name = `device-${__VU}`;
  const topic = (kind) => `fleet/${name}/${kind}`;
  const will = { topic: topic('lost'), payload: '{}', qos: 1 };
  const client = connect(url, { version: '5', clientId: name, keepalive: 30, will });
  const open = signal();

  client.on('error', (error) => console.error(`${name}: ${error.message}`));
  const confirmed = signal();
  client.on('message', async (message) => {
    if (message.topic === 'control/open') return open.keep();
    await client.publish(topic('done'), message.json(), { qos: 1 });
    confirmed.keep();
  });
  await client.subscribe(['control/open', topic('command')], { qos: 1 });
  await open.promise;
  for (let number = 1; number <= READINGS; number++) {
    await client.publish(topic('reading'), { number, at: Date.now(), celsius: 20 + Math.random() }, { qos: 1 });
    if (number > READINGS / 2 && vanishes) return client.abort();
    await pause(PAUSE_MS * (0.5 + Math.random()));
  }
  await confirmed.promise;
  await client.publish(topic('bye'), { number: READINGS }, { qos: 1 });
  client.end();
}
