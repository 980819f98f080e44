# SPDX-License-Identifier: Apache-2.0
"""k6/encoding (MOD-50)."""
import base64

from case import check, equal, go_error

ENC = "import encoding, { b64encode, b64decode } from 'k6/encoding';\n"


def test_MD_13_alphabets(t):
    run = t.run(ENC + '''
ev('same', encoding.b64encode === b64encode, encoding.b64decode === b64decode);
export default function () {
  ev('enc', b64encode('hi?>'), b64encode('hi?>', 'rawurl'), b64encode('hi?>', 'rawstd'), b64encode('hi?>', 'url'));
  ev('dec', b64decode('w6k=', 'std', 's'), b64decode('w6k', 'rawstd', 's'), b64decode('aGk_Pg==', 'url', 's'),
    b64decode('aGk_Pg', 'rawurl', 's'), b64decode('aG\\nk/\\r\\nPg==', undefined, 's'));
  ev('bytes', bytes(b64decode('AP+A')), b64decode('') instanceof ArrayBuffer, b64decode('').byteLength);
  ev('bad utf-8', b64decode('gGE=', 'std', 's'));
  ev('input', b64encode(new Uint8Array([0, 255, 128])), b64encode(new Uint8Array([0, 255, 128]).buffer),
    b64encode(new Uint8Array([9, 0, 255, 128]).subarray(1)), b64encode('é'), b64encode(''));
}''')
    equal(run.ev('same')[0], ['same', True, True])
    equal(run.ev('enc'), [['enc', 'aGk/Pg==', 'aGk_Pg', 'aGk/Pg', 'aGk_Pg==']])
    equal(run.ev('dec'), [['dec', 'é', 'é', 'hi?>', 'hi?>', 'hi?>']])
    equal(run.ev('bytes'), [['bytes', [0, 255, 128], True, 0]])
    equal(run.one('bad utf-8'), '\ufffda')
    equal(run.ev('input'), [['input', 'AP+A', 'AP+A', 'AP+A', 'w6k=', '']])


def test_MD_14_bad_input(t):
    run = t.run(ENC + '''
export default function () {
  for (const f of [() => b64decode('***'), () => b64encode(5), () => b64encode(), () => b64encode(null), () => b64encode({}),
    () => b64encode([1]), () => b64encode(new Uint16Array(2)), () => b64decode('aGk_Pg=='), () => b64decode('aGk/Pg', 'std'),
    () => b64decode('aGk/Pg==', 'rawstd'), () => b64decode('a'), () => b64decode('ab=c'), () => b64decode('a==='),
    () => b64decode('ab=='+'cd=='), () => b64decode('=abc'), () => b64decode('ab='), () => b64decode('a\\u0000bc')])
    ev('bad', String(f), caught(f));
  ev('unknown', b64encode('a', 'nope'), b64encode('a', null));
}''')
    equal(len(run.ev('bad')), 17)
    for _, text, err in run.ev('bad'):
        go_error(err, text)
    equal(run.ev('unknown'), [['unknown', 'YQ==', 'YQ==']])


def test_all_lengths(t):
    """Against another implementation, every length to 70."""
    run = t.run(ENC + '''
export default function () {
  for (let n = 0; n < 70; n++) {
    const data = Uint8Array.from({ length: n }, (_, i) => (i * 37 + n * 11) & 255);
    const all = ['std', 'rawstd', 'url', 'rawurl'].map((e) => b64encode(data, e));
    const back = ['std', 'rawstd', 'url', 'rawurl'].every((e, i) => bytes(b64decode(all[i], e)).join() === data.join());
    ev('n', all, back);
  }
}''')
    equal(len(run.ev('n')), 70)
    for n, (_, got, back) in enumerate(run.ev('n')):
        data = bytes((i * 37 + n * 11) & 255 for i in range(n))
        std, url = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
        equal(got, [std, std.rstrip('='), url, url.rstrip('=')], 'length %d' % n)
        check(back, 'length %d does not come back', n)
