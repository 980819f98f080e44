# SPDX-License-Identifier: Apache-2.0
"""k6/crypto (MOD-55, MOD-56) and the global crypto (MOD-58)."""
import base64
import hashlib
import hmac
import re

from case import check, equal, go_error, type_error

CRYPTO = "import crypto from 'k6/crypto';\nimport * as all from 'k6/crypto';\n"
NAMES = {'md5': 'md5', 'sha1': 'sha1', 'sha256': 'sha256', 'sha384': 'sha384', 'sha512': 'sha512',
         'sha512_224': 'sha512_224', 'sha512_256': 'sha512_256', 'ripemd160': 'ripemd160'}
# Of "abc": RFC 1320, RFC 1321, FIPS 180-4, the RIPEMD-160 paper.
ABC = {'md4': 'a448017aaf21d8525fc10ae87aa6729d', 'md5': '900150983cd24fb0d6963f7d28e17f72',
       'sha1': 'a9993e364706816aba3e25717850c26c9cd0d89d',
       'sha512_224': '4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa',
       'sha512_256': '53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23',
       'ripemd160': '8eb208f7e05d987a9b044a8e98c6b087f15a0bfc'}


def test_MD_15_digests(t):
    run = t.run(CRYPTO + '''
ev('in init', crypto.md5('a', 'hex'));
export default function () {
  ev('md5', crypto.md5('a', 'hex'));
  for (const f of [() => crypto.md5('a'), () => crypto.md5([97], 'hex'), () => crypto.md5(5, 'hex'), () => crypto.md5(),
    () => crypto.md5('a', 'nope'), () => crypto.md5('a', ''), () => crypto.hmac('nope', 'k', 'd', 'hex'),
    () => crypto.hmac('md5', undefined, 'd', 'hex'), () => crypto.hmac('md5', 'k', 5, 'hex'), () => crypto.hmac(),
    () => crypto.createHash('nope'), () => crypto.createHash(), () => crypto.createHMAC('sha1'),
    () => crypto.createHMAC('nope', 'k'), () => crypto.createHash('md5').update(5), () => crypto.createHash('md5').digest(),
    () => crypto.hexEncode(5), () => crypto.hexEncode()]) ev('bad', String(f), caught(f));
  ev('this', caught(() => crypto.createHash('md5').update.call({}, 'a')));
  for (const name of ['md4', 'md5', 'sha1', 'sha256', 'sha384', 'sha512', 'sha512_224', 'sha512_256', 'ripemd160'])
    ev('abc', name, crypto[name]('abc', 'hex'), all[name] === crypto[name]);
  const d = new Uint8Array([97, 98, 99]);
  ev('kinds', crypto.md5(d, 'hex') === crypto.md5('abc', 'hex'), crypto.md5(d.buffer, 'hex') === crypto.md5('abc', 'hex'));
  ev('out', crypto.md5('abc', 'base64'), crypto.md5('abc', 'base64url'), crypto.md5('abc', 'base64rawurl'),
    bytes(crypto.md5('abc', 'binary')));
  ev('hex', crypto.hexEncode('é\\n'), crypto.hexEncode(new Uint8Array([0, 255])), crypto.hexEncode(''));
}''')
    equal(run.one('md5'), '0cc175b9c0f1b6a831c399e269772661')
    equal(run.values('in init')[0], '0cc175b9c0f1b6a831c399e269772661')
    equal(len(run.ev('bad')), 18)
    for _, text, err in run.ev('bad'):
        go_error(err, text)
    type_error(run.one('this'))
    for _, name, got, same in run.ev('abc'):
        equal(got, ABC.get(name) or hashlib.new(name, b'abc').hexdigest(), name)
        check(same, '%s: named and default export differ', name)
    equal(len(run.ev('abc')), 9)
    equal(run.ev('kinds'), [['kinds', True, True]])
    sum_ = hashlib.md5(b'abc').digest()
    url = base64.urlsafe_b64encode(sum_).decode()
    equal(run.ev('out'), [['out', base64.b64encode(sum_).decode(), url, url.rstrip('='), list(sum_)]])
    equal(run.ev('hex'), [['hex', 'c3a90a', '00ff', '']])


def test_MD_16_hmac(t):
    run = t.run(CRYPTO + '''
export default function () {
  ev('hmac', crypto.hmac('sha256', 'k', 'd', 'base64rawurl'));
  for (const name of ['md5', 'sha1', 'sha256', 'sha384', 'sha512'])
    for (const n of [0, 1, 63, 64, 65, 127, 128, 129, 200])
      ev('n', name, n, crypto.hmac(name, 'k'.repeat(n), 'data', 'hex'));
  const h = crypto.createHMAC('sha256', 'k');
  h.update('da'); ev('part', h.digest('hex')); h.update('ta'); ev('whole', h.digest('hex'), h.digest('hex'));
}''')
    equal(run.one('hmac'), '5-ohw7y2Ok2jrXhQMWjTa9ygvmIjgupgoQj61OSWZnk')
    equal(len(run.ev('n')), 45)
    for _, name, n, got in run.ev('n'):
        equal(got, hmac.new(b'k' * n, b'data', name).hexdigest(), '%s, key of %d' % (name, n))
    equal(run.one('part'), hmac.new(b'k', b'da', 'sha256').hexdigest())
    whole = hmac.new(b'k', b'data', 'sha256').hexdigest()
    equal(run.ev('whole'), [['whole', whole, whole]])


def test_MD_17_random_bytes(t):
    run = t.run(CRYPTO + '''
export default function () {
  for (const n of [0, -1, undefined, NaN, 'x', 1e12]) ev('bad', caught(() => crypto.randomBytes(n)));
  const a = crypto.randomBytes(32), b = crypto.randomBytes(32);
  ev('len', crypto.randomBytes('3').byteLength, crypto.randomBytes(1).byteLength, a instanceof ArrayBuffer);
  ev('differ', bytes(a).join() !== bytes(b).join());
  ev('spread', new Set(bytes(crypto.randomBytes(20000))).size);
}''')
    equal(len(run.ev('bad')), 6)
    for err in run.values('bad'):
        go_error(err)
    equal(run.ev('len'), [['len', 3, 1, True]])
    equal(run.one('differ'), True)
    equal(run.one('spread'), 256)


def test_MD_18_hasher(t):
    run = t.run(CRYPTO + '''
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3, iterations: 20 } } };
export default function () {
  const h = crypto.createHash('sha1');
  ev('update', h.update('a') === undefined);
  h.update(new Uint8Array([98]));
  ev('digest', h.digest('hex'), h.digest('hex'));
  crypto.createHash('sha256').update('never asked');
}''')
    one = 'da23614e02469a0d7c7bd1bdab5c9c474b1904dc'
    equal(run.ev('digest'), [['digest', one, one]] * 60)
    equal(set(run.values('update')), {True})


def test_global_crypto(t):
    run = t.run('''
const ids = new Set();
ev('init', crypto.randomUUID().length);
export default function () {
  for (let i = 0; i < 500; i++) ids.add(crypto.randomUUID());
  ev('ids', ids.size, [...ids].slice(0, 20));
  for (const T of [Uint8Array, Int8Array, Uint8ClampedArray, Uint16Array, Int32Array, Uint32Array, BigUint64Array]) {
    const a = new T(64);
    ev('filled', T.name, crypto.getRandomValues(a) === a, new Set(a).size > 1);
  }
  const whole = new Uint8Array(30);
  crypto.getRandomValues(whole.subarray(10, 20));
  ev('part', whole.slice(0, 10).every((x) => x === 0) && whole.slice(20).every((x) => x === 0),
    whole.slice(10, 20).some((x) => x !== 0));
  for (const value of [new Float64Array(2), new Float32Array(2), new ArrayBuffer(2), [1], 'x', undefined])
    ev('bad', caught(() => crypto.getRandomValues(value)));
  ev('quota', crypto.getRandomValues(new Uint8Array(65536)).length,
    caught(() => crypto.getRandomValues(new Uint8Array(65537))));
  ev('subtle', typeof crypto.subtle, String(crypto));
}''')
    count, ids = run.ev('ids')[0][1:]
    equal(count, 500)
    for one in ids:
        check(re.fullmatch(r'[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}', one), 'UUID: %r', one)
    equal([e[2:] for e in run.ev('filled')], [[True, True]] * 7)
    equal(run.ev('part'), [['part', True, True]])
    equal([e['name'] for e in run.values('bad')], ['TypeMismatchError'] * 6)
    equal(run.ev('quota')[0][1], 65536)
    equal(run.ev('quota')[0][2]['name'], 'QuotaExceededError')
    equal(run.one('subtle'), 'object')


def test_digest_names_match_openssl(t):
    """Every name of the table, a message longer than a block, against another implementation."""
    run = t.run(CRYPTO + "export default function () { for (const n of %r) "
                "ev('n', n, crypto[n]('x'.repeat(300), 'hex')); }" % sorted(NAMES))
    for _, name, got in run.ev('n'):
        if NAMES[name] in hashlib.algorithms_available:
            equal(got, hashlib.new(NAMES[name], b'x' * 300).hexdigest(), name)
    equal(len(run.ev('n')), 8)
