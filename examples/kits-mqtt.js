// MQTT: a fleet of sensors that report to a broker, and a control room that hears them.
//
// Every device publishes its readings with QoS 1 and a will that tells when it was lost; the control room subscribes to all
// of them and measures how old a reading is when it arrives.
//
//   squall run -e URL=ws://127.0.0.1:9001/mqtt examples/kits-mqtt.js
//
// The broker is mosquitto with `listener 9001` and `protocol websockets`, or any other with WebSockets.
// On k6: copy kits/mqtt.js here and import './mqtt.js'.
import { check } from 'k6';
import { Trend } from 'k6/metrics';
import { setTimeout } from 'k6/timers';
import { connect } from 'squall/mqtt';

const url = __ENV.URL || 'ws://127.0.0.1:9001/mqtt';
const DEVICES = 5;
const READINGS = 10;

export const options = {
  scenarios: {
    room: { executor: 'per-vu-iterations', vus: 1, iterations: 1, exec: 'room' },
    fleet: { executor: 'per-vu-iterations', vus: DEVICES, iterations: 1, exec: 'device', startTime: '500ms' },
  },
  thresholds: { mqtt_acked: ['rate==1'], reading_age: ['p(95)<1000'] },
};

const age = new Trend('reading_age', true);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function room() {
  const client = connect(url, { version: '5', clientId: 'control-room' });
  const perDevice = new Map();
  let total = 0;

  client.on('message', (message) => {
    const reading = message.json();
    age.add(Date.now() - reading.at);
    perDevice.set(message.topic, (perDevice.get(message.topic) || 0) + 1);
    total += 1;
  });
  await client.subscribe('fleet/+/reading', { qos: 1 });
  for (let i = 0; i < 100 && total < DEVICES * READINGS; i++) await pause(50);
  check(perDevice, {
    'every device was heard': (map) => map.size === DEVICES,
    'no reading was lost': (map) => [...map.values()].every((count) => count === READINGS),
  });
  client.end();
}

export async function device() {
  const will = { topic: `fleet/${__VU}/lost`, payload: 'gone', qos: 1 };
  const client = connect(url, { version: '5', clientId: `device-${__VU}`, keepalive: 30, will });

  await client.ready();
  for (let i = 0; i < READINGS; i++) {
    await client.publish(`fleet/${__VU}/reading`, { at: Date.now(), value: 20 + i / 10 }, { qos: 1 });
    await pause(20);
  }
  client.end();
}
