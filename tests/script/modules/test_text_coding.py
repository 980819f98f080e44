# SPDX-License-Identifier: Apache-2.0
"""TextEncoder and TextDecoder (MOD-21)."""
from case import check, equal, type_error


def test_encoder(t):
    run = t.run('''
const e = new TextEncoder();
export default function () {
  for (const s of ['', 'abc', 'é€😀', '\\ud800x\\udc00', 'a\\u0000b']) ev('enc', s === '' ? 0 : 1, bytes(e.encode(s)));
  ev('none', e.encode() instanceof Uint8Array, e.encode().length, e.encode(5).length, e.encoding, String(e));
  const out = new Uint8Array(6);
  ev('into', e.encodeInto('a€😀', out), Array.from(out), e.encodeInto('a€', new Uint8Array(0)), e.encodeInto('😀', new Uint8Array(9)));
  for (const f of [() => TextEncoder(), () => e.encodeInto('a', []), () => e.encodeInto('a', new ArrayBuffer(4))])
    ev('bad', String(f), caught(f));
}''')
    equal([e[2] for e in run.ev('enc')], [[], [97, 98, 99], list('é€😀'.encode()), list('\ufffdx\ufffd'.encode()), [97, 0, 98]])
    equal(run.ev('none'), [['none', True, 0, 1, 'utf-8', '[object TextEncoder]']])
    equal(run.ev('into'), [['into', {'read': 2, 'written': 4}, [97, 0xE2, 0x82, 0xAC, 0, 0], {'read': 0, 'written': 0},
                            {'read': 2, 'written': 4}]])
    for _, text, err in run.ev('bad'):
        type_error(err, text)
    equal(len(run.ev('bad')), 3)


# WHATWG: the longest part that could begin a character is one U+FFFD.
CASES = [([0x61, 0xFF, 0x62], 'a\ufffdb'), ([0xC3, 0xA9], 'é'), ([0xC3], '\ufffd'), ([0xC3, 0x61], '\ufffda'),
         ([0xC0, 0xAF], '\ufffd\ufffd'), ([0xE0, 0x80, 0xAF], '\ufffd\ufffd\ufffd'), ([0xED, 0xA0, 0x80], '\ufffd' * 3),
         ([0xF0, 0x9F, 0x98, 0x80], '😀'), ([0xF0, 0x9F, 0x98], '\ufffd'), ([0xF0, 0x9F, 0x98, 0x61], '\ufffda'),
         ([0xF4, 0x90, 0x80, 0x80], '\ufffd' * 4), ([0xE2, 0x82, 0xE2, 0x82, 0xAC], '\ufffd€'), ([0x80], '\ufffd'),
         ([0xEF, 0xBB, 0xBF, 0x61], 'a'), ([0xEF, 0xBB, 0xBF, 0xEF, 0xBB, 0xBF], '\ufeff'), ([], '')]


def test_decoder(t):
    run = t.run('''
export default function () {
  for (const c of %r) {
    const data = new Uint8Array(c), d = new TextDecoder();
    // Every cut must decode to the same text.
    const whole = d.decode(data);
    let same = true;
    for (let i = 0; i <= c.length; i++)
      for (let j = i; j <= c.length; j++)
        same = same && d.decode(data.subarray(0, i), { stream: true }) + d.decode(data.subarray(i, j), { stream: true }) +
          d.decode(data.subarray(j)) === whole;
    let fatal = null;
    try { fatal = new TextDecoder('utf-8', { fatal: true }).decode(data); } catch (e) { fatal = e instanceof TypeError; }
    ev('case', whole, same, fatal);
  }
}''' % [c[0] for c in CASES])
    equal(len(run.ev('case')), len(CASES))
    for (data, want), (_, got, same, fatal) in zip(CASES, run.ev('case')):
        equal(got, want, repr(data))
        check(same, '%r: differs when streamed', data)
        equal(fatal, True if '\ufffd' in want else want, 'fatal %r' % data)


def test_decoder_options(t):
    run = t.run('''
export default function () {
  const bom = new Uint8Array([0xEF, 0xBB, 0xBF, 0x61]);
  const keep = new TextDecoder('utf8', { ignoreBOM: true }), d = new TextDecoder(' UTF-8\\n', { fatal: 1 });
  ev('bom', keep.decode(bom).length, keep.ignoreBOM, keep.fatal, d.decode(bom).length, d.fatal, d.ignoreBOM, d.encoding);
  ev('again', d.decode(bom), caught(() => d.decode(new Uint8Array([0xff]))), d.decode(bom));
  ev('kinds', d.decode(bom.buffer), d.decode(bom.subarray(3)), d.decode(), String(d));
  ev('pending', d.decode(new Uint8Array([0xC3]), { stream: true }), caught(() => d.decode()), d.decode());
  for (const f of [() => new TextDecoder('shift_jis'), () => new TextDecoder('utf-7'), () => new TextDecoder('')])
    ev('label', caught(f).name);
  for (const f of [() => d.decode('text'), () => d.decode([1]), () => TextDecoder(), () => TextDecoder.prototype.decode.call({})])
    ev('bad', String(f), caught(f));
}''')
    equal(run.ev('bom'), [['bom', 2, True, False, 1, True, False, 'utf-8']])
    _, before, err, after = run.ev('again')[0]
    equal((before, after), ('a', 'a'))
    type_error(err)
    equal(run.ev('kinds'), [['kinds', 'a', 'a', '', '[object TextDecoder]']])
    _, first, err, last = run.ev('pending')[0]
    equal((first, last), ('', ''))
    type_error(err)
    equal(run.values('label'), ['RangeError'] * 3)
    equal(len(run.ev('bad')), 4)
    for _, text, err in run.ev('bad'):
        type_error(err, text)


UTF16 = [('abc', 'abc'), ('é€😀', 'é€😀'), ('', '')]
HALVES = [([0xD83D], '\ufffd'), ([0xDE00], '\ufffd'), ([0xD83D, 0x61], '\ufffda'), ([0xD83D, 0xD83D, 0xDE00], '\ufffd😀'),
          ([0xFEFF, 0x61], 'a'), ([0xFEFF, 0xFEFF], '\ufeff'), ([0x61, 0xDE00, 0xD83D], 'a\ufffd\ufffd')]


def test_utf16(t):
    """Both orders, at every cut; halves of pairs are U+FFFD, or a TypeError when fatal; so is half a unit."""
    cases = []
    for name, order in (('utf-16le', 'little'), ('utf-16be', 'big')):
        for text, want in UTF16:
            cases.append((name, list(text.encode('utf-16-le' if order == 'little' else 'utf-16-be')), want))
        for units, want in HALVES:
            cases.append((name, [b for u in units for b in u.to_bytes(2, order)], want))
        cases += [(name, [0xD8, 0xD8, 0x61], '\ufffd'), (name, [0x61], '\ufffd'), (name, [0, 0x61, 0] if order == 'big' else [0x61, 0, 0], 'a\ufffd')]
    run = t.run("""
export default function () {
  for (const [name, c] of %r) {
    const data = new Uint8Array(c), d = new TextDecoder(name);
    const whole = d.decode(data);
    let same = true;
    for (let i = 0; i <= c.length; i++)
      for (let j = i; j <= c.length; j++)
        same = same && d.decode(data.subarray(0, i), { stream: true }) + d.decode(data.subarray(i, j), { stream: true }) +
          d.decode(data.subarray(j)) === whole;
    let fatal = null;
    try { fatal = new TextDecoder(name, { fatal: true }).decode(data); } catch (e) { fatal = e instanceof TypeError; }
    ev('case', d.encoding, whole, same, fatal);
  }
}""" % [list(c[:2]) for c in cases])
    equal(len(run.ev('case')), len(cases))
    for (name, data, want), (_, encoding, got, same, fatal) in zip(cases, run.ev('case')):
        equal((encoding, got), (name, want), repr(data))
        check(same, '%r: differs when streamed', data)
        equal(fatal, True if '\ufffd' in want else want, 'fatal %r' % data)


def test_windows_1252(t):
    """Every byte, against another implementation; what that one leaves open is the control character (WHATWG)."""
    run = t.run("""
export default function () {
  const d = new TextDecoder('latin1', { fatal: true }), all = new Uint8Array(256).map((_, i) => i);
  ev('all', d.encoding, Array.from(d.decode(all)).map((c) => c.codePointAt(0)));
  ev('labels', ['ascii', 'ISO-8859-1', ' cp1252 ', 'us-ascii', 'l1', 'ucs-2', 'unicodefffe', 'utf-16'].map((l) => new TextDecoder(l).encoding));
  ev('bom', new TextDecoder('ascii').decode(new Uint8Array([0xEF, 0xBB, 0xBF])).length);
}""")
    want = [ord(bytes([i]).decode('cp1252')) if i not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else i for i in range(256)]
    equal(run.ev('all')[0][1:], ['windows-1252', want])
    equal(run.one('labels'), ['windows-1252'] * 5 + ['utf-16le', 'utf-16be', 'utf-16le'])
    equal(run.one('bom'), 3)
