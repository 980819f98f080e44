// Binary messages: packing, sending and unpacking an ArrayBuffer.
//
// `sendBinary` takes an ArrayBuffer and sends all of it. Received buffers come to the
// `binaryMessage` handler; text messages never do. To send a part of a larger buffer, slice it.
//
//   squall echo --port 8765 &
//   squall run examples/binary.js
import ws from 'k6/ws';
import { check } from 'k6';

const url = __ENV.URL || 'ws://127.0.0.1:8765/';
const SAMPLES = 1000;
const FRAMES = 5;

export const options = { vus: 1, iterations: 2 };

//  0        4              8
//  | number | sample count | samples, 16 bits each, little endian ...
function pack(number) {
  const buffer = new ArrayBuffer(8 + 2 * SAMPLES);
  const view = new DataView(buffer);
  view.setUint32(0, number);
  view.setUint32(4, SAMPLES);
  for (let i = 0; i < SAMPLES; i++) view.setInt16(8 + 2 * i, (i * number) % 32768, true);
  return buffer;
}

function unpack(buffer) {
  const view = new DataView(buffer);
  return {
    number: view.getUint32(0),
    count: view.getUint32(4),
    last: view.getInt16(buffer.byteLength - 2, true),
  };
}

export default function () {
  let number = 1;

  const response = ws.connect(url, function (socket) {
    socket.on('open', () => socket.sendBinary(pack(number)));
    socket.on('binaryMessage', function (buffer) {
      const frame = unpack(buffer);
      check(frame, {
        'number is the one sent': (f) => f.number === number,
        'all samples are there': (f) => f.count === SAMPLES && buffer.byteLength === 8 + 2 * SAMPLES,
        'last sample is right': (f) => f.last === ((SAMPLES - 1) * number) % 32768,
      });
      number += 1;
      if (number > FRAMES) socket.close(1000);
      else socket.sendBinary(pack(number));
    });
    socket.setTimeout(() => socket.close(), 10000);
  });

  check(response, { 'status is 101': (r) => r && r.status === 101 });
}
