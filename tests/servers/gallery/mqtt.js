// SPDX-License-Identifier: Apache-2.0
// mosquitto, an MQTT broker, with a WebSocket listener; counts what its log tells.
'use strict';
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const readline = require('readline');
const { spawn } = require('child_process');
const { parse } = require('./lib.js');

const options = parse({});
const counts = { clients: 0, readings: 0, commands: 0, acknowledgements: 0, wills: 0 };
const KINDS = { reading: 'readings', command: 'commands', done: 'acknowledgements' };

function count(line) {
  const published = /Received PUBLISH from \S+ \(.*'fleet\/[^/']+\/(\w+)'/.exec(line);
  if (published && KINDS[published[1]]) counts[KINDS[published[1]]] += 1;
  if (/New client connected/.test(line)) counts.clients += 1;
  // A will goes out without having come in as a message.
  if (/Sending PUBLISH to control-room .*'fleet\/[^/']+\/lost'/.test(line)) counts.wills += 1;
}

function run(port) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'squall-mosquitto-'));
  const conf = path.join(folder, 'mosquitto.conf');
  // Some versions refuse to start with listeners for WebSockets alone, hence the Unix socket.
  fs.writeFileSync(conf, [
    ...(process.getuid() === 0 ? ['user root'] : []),
    `listener 0 ${path.join(folder, 'mqtt.sock')}`,
    `listener ${port} 127.0.0.1`,
    'protocol websockets',
    'allow_anonymous true',
    'persistence false',
    'max_queued_messages 100000',
    '',
  ].join('\n'));
  const env = Object.assign({}, process.env, { PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` });
  const broker = spawn('mosquitto', ['-c', conf, '-v'], { stdio: ['ignore', 'ignore', 'pipe'], env });
  readline.createInterface({ input: broker.stderr }).on('line', (line) => {
    count(line);
    if (/ running$/.test(line)) console.log(JSON.stringify({ port, url: `ws://127.0.0.1:${port}` }));
    if (/Error/.test(line)) console.error(line);
  });
  broker.on('error', (error) => console.error(`cannot start mosquitto (Debian package mosquitto): ${error.message}`));
  // 'close' comes after the last line of its log.
  broker.on('close', (code) => {
    fs.rmSync(folder, { recursive: true });
    console.log(JSON.stringify({ counts }));
    process.exit(code ? 1 : 0);
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => broker.kill('SIGTERM'));
}

if (options.port) run(options.port);
else {
  const probe = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => run(port));
  });
}
