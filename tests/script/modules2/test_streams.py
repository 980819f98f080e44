# SPDX-License-Identifier: Apache-2.0
"""k6/experimental/streams (MOD-87)."""
from case import equal, type_error

STREAMS = '''import { ReadableStream, WritableStream, CountQueuingStrategy, ByteLengthQueuingStrategy, ReadableStreamDefaultReader }
  from 'k6/experimental/streams';
import streams from 'k6/experimental/streams';
import { ReadableStream as Other } from 'k6/websockets';
async function rejected(p) {
  try { await p; return null; } catch (e) {
    return { name: e.name, error: e instanceof Error, type: e instanceof TypeError, message: String(e.message), text: String(e) };
  }
}
const all = async (stream) => { const got = []; for await (const x of stream) got.push(x); return got; };
'''


def run(t, body):
    r = t.run(STREAMS + 'export default async function () {\n' + body + '\n}')
    equal(r.logged('error'), [])
    return r


def test_MOD_87_a_timer_as_a_source(t):
    """The iteration lasts until the stream is read."""
    r = run(t, '''
  let n = 0, timer;
  const stream = new ReadableStream({
    start(c) { timer = setInterval(() => { c.enqueue('tick ' + n); if (++n === 3) { clearInterval(timer); c.close(); } }, 2); },
  });
  ev('got', await all(stream));
  ev('same', streams.ReadableStream === ReadableStream, Other === ReadableStream, stream.locked, String(stream));''')
    equal(r.one('got'), ['tick 0', 'tick 1', 'tick 2'])
    equal(r.ev('same')[0][1:], [True, True, False, '[object ReadableStream]'])


def test_MOD_87_reading(t):
    r = run(t, '''
  let pulls = 0, why;
  const stream = new ReadableStream({ pull(c) { c.enqueue(++pulls); }, cancel(reason) { why = reason; } }, { highWaterMark: 2 });
  const reader = stream.getReader();
  ev('two', stream.locked, await reader.read(), await reader.read(), reader instanceof ReadableStreamDefaultReader);
  ev('locked', caught(() => stream.getReader()), await rejected(stream.cancel()));
  await reader.cancel('enough');
  ev('over', why, await reader.read(), pulls <= 5);
  reader.releaseLock();
  ev('released', stream.locked, await rejected(reader.read()));
  const failing = new ReadableStream({ pull() { throw new RangeError('mine'); } });
  ev('fails', (await rejected(failing.getReader().read())).name);
  ev('wrong', caught(() => new ReadableStream(null)), caught(() => new ReadableStream({ type: 'bytes' })), caught(() => new ReadableStream({ pull: 1 })),
     caught(() => stream.getReader({ mode: 'byob' })));
  ev('range', caught(() => new ReadableStream({ type: 'x' })).name, caught(() => new ReadableStream({}, { highWaterMark: -1 })).name);''')
    equal(r.ev('two')[0][1:], [True, {'value': 1, 'done': False}, {'value': 2, 'done': False}, True])
    equal(r.ev('over')[0][1:], ['enough', {'done': True}, True])
    equal(r.ev('fails')[0][1:], ['RangeError'])
    equal(r.ev('released')[0][1], False)
    for err in r.ev('locked')[0][1:] + r.ev('wrong')[0][1:] + [r.ev('released')[0][2]]:
        type_error(err)
    equal(r.ev('range')[0][1:], ['RangeError', 'RangeError'])


def test_MOD_87_strategies(t):
    r = run(t, '''
  const count = new CountQueuingStrategy({ highWaterMark: 3 }), bytes = new ByteLengthQueuingStrategy({ highWaterMark: 10 });
  ev('of', count.highWaterMark, count.size('xyz'), bytes.highWaterMark, bytes.size(new Uint8Array(4)), count.size === new CountQueuingStrategy({ highWaterMark: 1 }).size);
  let controller;
  new ReadableStream({ start(c) { controller = c; } }, bytes);
  const sizes = [controller.desiredSize];
  controller.enqueue(new Uint8Array(4)); sizes.push(controller.desiredSize);
  controller.enqueue(new Uint8Array(9)); sizes.push(controller.desiredSize);
  ev('sizes', sizes);
  ev('wrong', caught(() => new CountQueuingStrategy()), caught(() => new CountQueuingStrategy({})));
  let bad;
  const stream = new ReadableStream({ start(c) { bad = c; } }, { size: () => NaN });
  ev('size', caught(() => bad.enqueue(1)).name, (await rejected(stream.getReader().read())).name);''')
    equal(r.ev('of')[0][1:], [3, 1, 10, 4, True])
    equal(r.one('sizes'), [10, 6, -3])
    for err in r.ev('wrong')[0][1:]:
        type_error(err)
    equal(r.ev('size')[0][1:], ['RangeError', 'RangeError'])


def test_MOD_87_tee_from_and_pipes(t):
    r = run(t, '''
  const [a, b] = ReadableStream.from([1, 2, 3]).tee();
  const first = await all(a);
  ev('tee', first, await all(b));
  let reasons;
  const source = new ReadableStream({ pull(c) { c.enqueue('x'); }, cancel(r) { reasons = r; } });
  const [c, d] = source.tee();
  const rc = c.getReader(); await rc.read();
  const one = rc.cancel('one');
  ev('other', (await d.getReader().read()).value, source.locked);
  ev('from', await all(ReadableStream.from((async function* () { yield 'p'; yield 'q'; })())), caught(() => ReadableStream.from(5)));
  const written = [];
  await ReadableStream.from('abc').pipeTo(new WritableStream({ write(x) { written.push(x); }, close() { written.push('end'); } }));
  ev('written', written);
  const writer = new WritableStream({ async write(x) { if (x === 2) throw new RangeError('full'); } }).getWriter();
  await writer.write(1);
  ev('broken', (await rejected(writer.write(2))).name, (await rejected(writer.write(3))).name, (await rejected(writer.closed)).name);''')
    equal(r.ev('tee')[0][1:], [[1, 2, 3], [1, 2, 3]])
    equal(r.ev('other')[0][1:], ['x', True])
    equal(r.ev('from')[0][1], ['p', 'q'])
    type_error(r.ev('from')[0][2])
    equal(r.one('written'), ['a', 'b', 'c', 'end'])
    equal(r.ev('broken')[0][1:], ['RangeError'] * 3)
