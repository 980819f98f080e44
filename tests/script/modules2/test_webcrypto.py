# SPDX-License-Identifier: Apache-2.0
"""crypto.subtle (MOD-58). Every algorithm is held against a known answer or against openssl(1)."""
import base64
import json
import re
import subprocess

from case import check, equal

PRELUDE = '''
const s = crypto.subtle, utf8 = (t) => new TextEncoder().encode(t);
const hex = (b) => bytes(b).map((x) => x.toString(16).padStart(2, '0')).join('');
const unhex = (t) => new Uint8Array((t.match(/../g) || []).map((x) => parseInt(x, 16)));
async function rejected(p) { try { await (typeof p === 'function' ? p() : p); return null; } catch (e) { return [e.name, e instanceof Error, e.message !== '']; } }
'''


def run(t, body, **kw):
    return t.run(PRELUDE + 'export default async function () {\n%s\n}' % body, **kw)


def names(got, want):
    for (_, what, err), name in zip(got, want, strict=True):
        equal(err, [name, True, True], what)


def test_MOD_58_digest(t):
    got = run(t, '''
for (const name of ['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512']) ev('d', hex(await s.digest(name, utf8('abc'))));
ev('e', hex(await s.digest('SHA-256', new ArrayBuffer(0))), hex(await s.digest('SHA-1', new DataView(utf8('xabcx').buffer, 1, 3))));
const p = s.digest('SHA-1', utf8('')); ev('p', p instanceof Promise, String(s), (await p) instanceof ArrayBuffer);
const order = []; const q = s.digest('SHA-1', utf8('')).then(() => order.push('digest')); Promise.resolve().then(() => order.push('job'));
await q; ev('order', order);''')
    equal(got.values('d'), [
        'a9993e364706816aba3e25717850c26c9cd0d89d',
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
        'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
        'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a'
        '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f'])
    equal(got.ev('e')[0][1:], ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
                               'a9993e364706816aba3e25717850c26c9cd0d89d'])
    equal(got.ev('p')[0][1:], [True, '[object SubtleCrypto]', True])
    equal(got.one('order'), ['job', 'digest'])


def test_MOD_58_aes_known_answers(t):
    """NIST SP 800-38A F.2.1 and F.5.1, the GCM specification's test case 4, RFC 3394 4.1."""
    got = run(t, '''
const raw = unhex('2b7e151628aed2a6abf7158809cf4f3c'), text = unhex('6bc1bee22e409f96e93d7e117393172a');
const key = (name, k = raw, u = ['encrypt', 'decrypt']) => s.importKey('raw', k, name, true, u);
const cbc = { name: 'AES-CBC', iv: unhex('000102030405060708090a0b0c0d0e0f') }, k1 = await key('AES-CBC');
const c1 = await s.encrypt(cbc, k1, text); ev('cbc', hex(c1), hex(await s.decrypt(cbc, k1, c1)));
const ctr = { name: 'AES-CTR', counter: unhex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'), length: 128 }, k2 = await key('AES-CTR');
const c2 = await s.encrypt(ctr, k2, text); ev('ctr', hex(c2), hex(await s.decrypt(ctr, k2, c2)));
const k3 = await key('AES-GCM', unhex('feffe9928665731c6d6a8f9467308308'));
const gcm = { name: 'AES-GCM', iv: unhex('cafebabefacedbaddecaf888'), additionalData: unhex('feedfacedeadbeeffeedfacedeadbeefabaddad2') };
const c3 = await s.encrypt(gcm, k3, unhex('d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39'));
ev('gcm', hex(c3), bytes(await s.decrypt(gcm, k3, c3)).length);
const short = await s.encrypt({ ...gcm, tagLength: 96 }, k3, utf8('x')); ev('tag', short.byteLength, hex(await s.decrypt({ ...gcm, tagLength: 96 }, k3, short)));
const kek = await key('AES-KW', unhex('000102030405060708090A0B0C0D0E0F'), ['wrapKey', 'unwrapKey']);
const inner = await key('AES-CBC', unhex('00112233445566778899AABBCCDDEEFF'));
const w = await s.wrapKey('raw', inner, kek, 'AES-KW');
const back = await s.unwrapKey('raw', w, kek, 'AES-KW', 'AES-CBC', true, ['encrypt']);
ev('kw', hex(w), hex(await s.exportKey('raw', back)), back.usages);
const bad = new Uint8Array(c3); bad[0] ^= 1; ev('no', 'gcm', await rejected(s.decrypt(gcm, k3, bad)));
ev('no', 'gcm short', await rejected(s.decrypt(gcm, k3, new Uint8Array(15))));
ev('no', 'cbc', await rejected(s.decrypt(cbc, k1, new Uint8Array(15))));
ev('no', 'kw', await rejected(s.unwrapKey('raw', new Uint8Array(24), kek, 'AES-KW', 'AES-CBC', true, ['encrypt'])));
for (const size of [0, 1, 16, 17, 100000]) for (const [a, k] of [[cbc, k1], [ctr, k2], [gcm, k3]]) {
  const data = new Uint8Array(size).fill(7), c = await s.encrypt(a, k, data), d = new Uint8Array(await s.decrypt(a, k, c));
  ev('round', d.length === size && d.every((x) => x === 7) && (a !== ctr || c.byteLength === size));
}''')
    equal(got.ev('cbc')[0][1:], ['7649abac8119b246cee98e9b12e9197d8964e0b149c10b7b682e6e39aaeb731c',
                                 '6bc1bee22e409f96e93d7e117393172a'])
    equal(got.ev('ctr')[0][1:], ['874d6191b620e3261bef6864990db6ce', '6bc1bee22e409f96e93d7e117393172a'])
    equal(got.ev('gcm')[0][1:], ['42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05'
                                 '1ba30b396a0aac973d58e091' + '5bc94fbc3221a5db94fae95ae7121a47', 60])
    equal(got.ev('tag')[0][1:], [13, '78'])
    equal(got.ev('kw')[0][1:], ['1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5', '00112233445566778899aabbccddeeff',
                                ['encrypt']])
    names(got.ev('no'), ['OperationError'] * 4)
    equal(got.values('round'), [True] * 15)


def test_MOD_58_ctr_wraps_within_its_bits(t):
    got = run(t, '''
const k = await s.importKey('raw', new Uint8Array(16), 'AES-CTR', false, ['encrypt', 'decrypt']);
const block = async (counter) => hex(await s.encrypt({ name: 'AES-CTR', counter: unhex(counter), length: 128 }, k, new Uint8Array(16)));
const all = async (counter, length, blocks) => hex(await s.encrypt({ name: 'AES-CTR', counter: unhex(counter), length }, k, new Uint8Array(16 * blocks)));
const nonce = '00112233445566778899aabbccdd';
ev('8', await all(nonce + '00ff', 8, 2) === await block(nonce + '00ff') + await block(nonce + '0000'));
ev('9', await all(nonce + '00ff', 9, 2) === await block(nonce + '00ff') + await block(nonce + '0100'));
ev('64', await all('01'.repeat(8) + 'ff'.repeat(8), 64, 2) === await block('01'.repeat(8) + 'ff'.repeat(8)) + await block('01'.repeat(8) + '00'.repeat(8)));
ev('65', await all('02'.repeat(8) + 'ff'.repeat(8), 65, 2) === await block('02'.repeat(8) + 'ff'.repeat(8)) + await block('02'.repeat(7) + '03' + '00'.repeat(8)));
ev('65w', await all('03'.repeat(8) + 'ff'.repeat(8), 65, 2) === await block('03'.repeat(8) + 'ff'.repeat(8)) + await block('03'.repeat(7) + '02' + '00'.repeat(8)));
ev('128', await all('ff'.repeat(16), 128, 2) === await block('ff'.repeat(16)) + await block('00'.repeat(16)));
ev('all', (await all(nonce + '0003', 2, 4)).length);
ev('no', 'reuse', await rejected(all(nonce + '0003', 2, 5)));
ev('no', 'length', await rejected(all(nonce + '0003', 0, 1)));
ev('no', 'length', await rejected(all(nonce + '0003', 129, 1)));''')
    for name in ('8', '9', '64', '65', '65w', '128'):
        equal(got.one(name), True, name)
    equal(got.one('all'), 128)
    names(got.ev('no'), ['OperationError'] * 3)


def test_MOD_58_hmac(t):
    """RFC 4231, test case 2."""
    got = run(t, '''
const alg = { name: 'HMAC', hash: 'SHA-256' }, key = await s.importKey('raw', utf8('Jefe'), alg, true, ['sign', 'verify']);
const sig = await s.sign('HMAC', key, utf8('what do ya want for nothing?'));
ev('sig', hex(sig), await s.verify('HMAC', key, sig, utf8('what do ya want for nothing?')), await s.verify('HMAC', key, sig, utf8('what?')),
  await s.verify('HMAC', key, sig.slice(1), utf8('what do ya want for nothing?')));
ev('key', key.type, key.extractable, key.algorithm, key.usages, String(key), key.constructor === Object);
ev('jwk', await s.exportKey('jwk', key));
const again = await s.importKey('jwk', await s.exportKey('jwk', key), alg, false, ['sign']);
ev('again', hex(await s.sign('HMAC', again, utf8('what do ya want for nothing?'))) === hex(sig), again.usages, again.extractable);
for (const hash of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']) {
  const k = await s.generateKey({ name: 'HMAC', hash }, true, ['sign']);
  ev('made', k.algorithm.length, (await s.sign('HMAC', k, utf8('x'))).byteLength); }
ev('length', (await s.generateKey({ name: 'HMAC', hash: 'SHA-1', length: 256 }, true, ['verify'])).algorithm.length);
key.type = 'x'; ev('fixed', key.type);'''.replace("key.type = 'x';", "caught(() => { 'use strict'; key.type = 'x'; });"))
    equal(got.ev('sig')[0][1:], ['5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843', True, False, False])
    equal(got.ev('key')[0][1:5], ['secret', True, {'name': 'HMAC', 'length': 32, 'hash': {'name': 'SHA-256'}},
                                  ['sign', 'verify']])
    equal(got.one('jwk'), {'kty': 'oct', 'k': 'SmVmZQ', 'alg': 'HS256', 'key_ops': ['sign', 'verify'], 'ext': True})
    equal(got.ev('again')[0][1:], [True, ['sign'], False])
    equal(got.ev('made'), [['made', 512, 20], ['made', 512, 32], ['made', 1024, 48], ['made', 1024, 64]])
    equal(got.one('length'), 256)
    equal(got.one('fixed'), 'secret')


def openssl(*args, stdin=b''):
    return subprocess.run(['openssl', *args], input=stdin, capture_output=True, check=True).stdout


def js_bytes(data):
    return "unhex('%s')" % data.hex()


def test_MOD_58_ecdsa_against_openssl(t):
    """Keys go in as pkcs8 and spki, signatures both ways."""
    for curve, group, size in (('P-256', 'P-256', 32), ('P-384', 'P-384', 48), ('P-521', 'P-521', 66)):
        key = t.path(curve + '.pem')
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:' + group, '-out', key)
        private = openssl('pkcs8', '-topk8', '-nocrypt', '-in', key, '-outform', 'DER')
        public = openssl('pkey', '-in', key, '-pubout', '-outform', 'DER')
        t.write('data', 'signed text')
        der = openssl('dgst', '-sha384', '-sign', key, t.path('data'))
        r_len = der[der.index(b'\x02') + 1]
        at = der.index(b'\x02') + 2
        r = der[at:at + r_len]
        sv = der[at + r_len + 2:]
        flat = b''.join(int.from_bytes(x, 'big').to_bytes(size, 'big') for x in (r, sv))
        got = run(t, '''
const alg = { name: 'ECDSA', namedCurve: '%s' }, h = { name: 'ECDSA', hash: 'SHA-384' };
const priv = await s.importKey('pkcs8', %s, alg, true, ['sign']), pub = await s.importKey('spki', %s, alg, true, ['verify']);
ev('theirs', await s.verify(h, pub, %s, utf8('signed text')), await s.verify(h, pub, %s, utf8('other text')), await s.verify(h, pub, new Uint8Array(9), utf8('')));
const sig = await s.sign(h, priv, utf8('signed text')); ev('sig', hex(sig), await s.verify(h, pub, sig, utf8('signed text')));
ev('der', hex(await s.exportKey('pkcs8', priv)).length > 0, hex(await s.exportKey('spki', pub)));
const point = await s.exportKey('raw', pub); ev('raw', point.byteLength, await s.verify(h, await s.importKey('raw', point, alg, true, ['verify']), sig, utf8('signed text')));
const jwk = await s.exportKey('jwk', priv), jpub = await s.exportKey('jwk', pub); ev('jwk', jwk.kty, jwk.crv, jwk.x === jpub.x, jwk.y === jpub.y, 'd' in jpub, jwk.d.length);
const p2 = await s.importKey('jwk', jwk, alg, true, ['sign']), u2 = await s.importKey('jwk', jpub, alg, true, ['verify']);
ev('again', await s.verify(h, u2, await s.sign(h, p2, utf8('z')), utf8('z')), p2.type, u2.type, p2.algorithm);
const pair = await s.generateKey(alg, false, ['sign', 'verify']);
ev('pair', await s.verify(h, pair.publicKey, await s.sign(h, pair.privateKey, utf8('q')), utf8('q')), pair.privateKey.extractable, pair.publicKey.extractable, pair.privateKey.usages, pair.publicKey.usages);
''' % (curve, js_bytes(private), js_bytes(public), js_bytes(flat), js_bytes(flat)))
        equal(got.ev('theirs')[0][1:], [True, False, False], curve)
        sig, ours = got.ev('sig')[0][1:]
        equal((len(sig), ours), (4 * size, True), curve)
        equal(got.ev('der')[0][1:], [True, public.hex()], curve)
        equal(got.ev('raw')[0][1:], [1 + 2 * size, True], curve)
        equal(got.ev('jwk')[0][1:6], ['EC', curve, True, True, False], curve)
        equal(got.ev('again')[0][1:], [True, 'private', 'public', {'name': 'ECDSA', 'namedCurve': curve}], curve)
        equal(got.ev('pair')[0][1:], [True, False, True, ['sign'], ['verify']], curve)


def test_MOD_58_rsa_against_openssl(t):
    key = t.path('rsa.pem')
    openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', key)
    private = openssl('pkcs8', '-topk8', '-nocrypt', '-in', key, '-outform', 'DER')
    public = openssl('pkey', '-in', key, '-pubout', '-outform', 'DER')
    openssl('pkey', '-in', key, '-pubout', '-out', t.path('pub.pem'))
    t.write('data', 'signed text')
    pkcs1 = openssl('dgst', '-sha256', '-sign', key, t.path('data'))
    pss = openssl('dgst', '-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32', '-sign', key, t.path('data'))
    oaep = openssl('pkeyutl', '-encrypt', '-pubin', '-inkey', t.path('pub.pem'), '-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt',
                   'rsa_oaep_md:sha256', '-in', t.path('data'))
    got = run(t, '''
const priv = %s, pub = %s;
for (const [name, params, sig] of [['RSASSA-PKCS1-v1_5', 'RSASSA-PKCS1-v1_5', %s], ['RSA-PSS', { name: 'RSA-PSS', saltLength: 32 }, %s]]) {
  const alg = { name, hash: 'SHA-256' };
  const p = await s.importKey('pkcs8', priv, alg, true, ['sign']), u = await s.importKey('spki', pub, alg, true, ['verify']);
  const ours = await s.sign(params, p, utf8('signed text'));
  ev('sign', name, await s.verify(params, u, sig, utf8('signed text')), await s.verify(params, u, sig, utf8('other')), await s.verify(params, u, ours, utf8('signed text')), hex(ours));
  const jwk = await s.exportKey('jwk', p), back = await s.importKey('jwk', jwk, alg, true, ['sign']);
  ev('jwk', jwk.kty, jwk.alg, jwk.e, Object.keys(jwk).length, await s.verify(params, u, await s.sign(params, back, utf8('a')), utf8('a')), hex(await s.exportKey('pkcs8', back)) === hex(priv));
  ev('alg', { ...u.algorithm, publicExponent: bytes(u.algorithm.publicExponent) });
}
const alg = { name: 'RSA-OAEP', hash: 'SHA-256' };
const d = await s.importKey('pkcs8', priv, alg, true, ['decrypt', 'unwrapKey']), e = await s.importKey('spki', pub, alg, true, ['encrypt', 'wrapKey']);
ev('oaep', hex(await s.decrypt('RSA-OAEP', d, %s)) === hex(utf8('signed text')));
const label = { name: 'RSA-OAEP', label: utf8('L') }, c = await s.encrypt(label, e, utf8('m'));
ev('label', hex(await s.decrypt(label, d, c)), await rejected(s.decrypt('RSA-OAEP', d, c)));
const aes = await s.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt']);
const w = await s.wrapKey('raw', aes, e, alg), a2 = await s.unwrapKey('raw', w, d, alg, 'AES-GCM', true, ['encrypt']);
ev('wrap', w.byteLength, hex(await s.exportKey('raw', a2)) === hex(await s.exportKey('raw', aes)));
ev('long', await rejected(s.encrypt('RSA-OAEP', e, new Uint8Array(300))));
const pair = await s.generateKey({ name: 'RSA-PSS', hash: 'SHA-512', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) }, true, ['sign', 'verify']);
ev('pair', await s.verify({ name: 'RSA-PSS', saltLength: 8 }, pair.publicKey, await s.sign({ name: 'RSA-PSS', saltLength: 8 }, pair.privateKey, utf8('q')), utf8('q')), pair.publicKey.algorithm.modulusLength);
''' % tuple(js_bytes(x) for x in (private, public, pkcs1, pss, oaep)))
    for (_, name, theirs, other, ours, sig), want in zip(got.ev('sign'), (pkcs1.hex(), None), strict=True):
        equal((theirs, other, ours), (True, False, True), name)
        check(want is None or sig == want, '%s is not what openssl signs', name)
    equal(got.ev('jwk'), [['jwk', 'RSA', alg, 'AQAB', 12, True, True] for alg in ('RS256', 'PS256')])
    for _, alg in got.ev('alg'):
        equal((alg['modulusLength'], alg['publicExponent'], alg['hash']), (2048, [1, 0, 1], {'name': 'SHA-256'}))
    equal(got.one('oaep'), True)
    equal(got.ev('label')[0][1:], ['6d', ['OperationError', True, True]])
    equal(got.ev('wrap')[0][1:], [256, True])
    equal(got.one('long'), ['OperationError', True, True])
    equal(got.ev('pair')[0][1:], [True, 1024])


def test_MOD_58_deriving(t):
    """PBKDF2 with SHA-1: RFC 6070; with SHA-256: RFC 7914 section 11. ECDH agrees on both sides."""
    got = run(t, '''
const k = (p) => s.importKey('raw', utf8(p), 'PBKDF2', false, ['deriveBits', 'deriveKey']), pw = await k('password');
ev('bits', hex(await s.deriveBits({ name: 'PBKDF2', hash: 'SHA-1', salt: utf8('salt'), iterations: 4096 }, pw, 160)),
  hex(await s.deriveBits({ name: 'PBKDF2', hash: 'SHA-256', salt: utf8('salt'), iterations: 1 }, await k('passwd'), 128)));
const key = await s.deriveKey({ name: 'PBKDF2', hash: 'SHA-1', salt: utf8('salt'), iterations: 4096 }, pw, { name: 'AES-CBC', length: 128 }, true, ['encrypt']);
ev('key', hex(await s.exportKey('raw', key)), key.algorithm);
for (const namedCurve of ['P-256', 'P-384', 'P-521']) {
  const [a, b] = [await s.generateKey({ name: 'ECDH', namedCurve }, true, ['deriveBits', 'deriveKey']), await s.generateKey({ name: 'ECDH', namedCurve }, true, ['deriveBits', 'deriveKey'])];
  const x = await s.deriveBits({ name: 'ECDH', public: b.publicKey }, a.privateKey, null), y = await s.deriveBits({ name: 'ECDH', public: a.publicKey }, b.privateKey, null);
  const h = await s.deriveKey({ name: 'ECDH', public: b.publicKey }, a.privateKey, { name: 'HMAC', hash: 'SHA-256', length: 256 }, true, ['sign']);
  ev('ecdh', hex(x) === hex(y), x.byteLength, hex(await s.deriveBits({ name: 'ECDH', public: b.publicKey }, a.privateKey, 128)) === hex(x).slice(0, 32), hex(await s.exportKey('raw', h)) === hex(x).slice(0, 64), a.publicKey.usages.length);
  ev('no', 'too long', await rejected(s.deriveBits({ name: 'ECDH', public: b.publicKey }, a.privateKey, 1024)));
  ev('no', 'not 8', await rejected(s.deriveBits({ name: 'ECDH', public: b.publicKey }, a.privateKey, 9)));
  ev('access', 'private', await rejected(s.deriveBits({ name: 'ECDH', public: b.privateKey }, a.privateKey, 128)));
  const other = await s.generateKey({ name: 'ECDH', namedCurve: namedCurve === 'P-256' ? 'P-384' : 'P-256' }, true, ['deriveBits']);
  ev('access', 'curve', await rejected(s.deriveBits({ name: 'ECDH', public: other.publicKey }, a.privateKey, 128)));
}
ev('no', 'iterations', await rejected(s.deriveBits({ name: 'PBKDF2', hash: 'SHA-1', salt: utf8('salt'), iterations: 0 }, pw, 160)));
ev('no', 'none', await rejected(s.deriveBits({ name: 'PBKDF2', hash: 'SHA-1', salt: utf8('salt'), iterations: 1 }, pw, 0)));
ev('syntax', 'extractable', await rejected(s.importKey('raw', utf8('x'), 'PBKDF2', true, ['deriveBits'])));''')
    equal(got.ev('bits')[0][1:], ['4b007901b765489abead49d926f721d065a429c1', '55ac046e56e3089fec1691c22544b605'])
    equal(got.ev('key')[0][1:], ['4b007901b765489abead49d926f721d0', {'name': 'AES-CBC', 'length': 128}])
    equal(got.ev('ecdh'), [['ecdh', True, n, True, True, 0] for n in (32, 48, 66)])
    names(got.ev('no'), ['OperationError'] * 8)
    names(got.ev('access'), ['InvalidAccessError'] * 6)
    names(got.ev('syntax'), ['SyntaxError'])


def test_MOD_58_jwk_vectors(t):
    """RFC 7515 A.1 (HS256) and A.3 (ES256): keys and signatures from the RFC."""
    hs_key = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'
    hs = ('eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ',
          'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')
    es = ('eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ',
          'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q')
    unb64 = lambda x: base64.urlsafe_b64decode(x + '=' * (-len(x) % 4))
    got = run(t, '''
const k = await s.importKey('jwk', { kty: 'oct', k: '%s', alg: 'HS256' }, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
ev('hs', await s.verify('HMAC', k, %s, utf8('%s')));
const e = await s.importKey('jwk', { kty: 'EC', crv: 'P-256', x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU', y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0' }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
ev('es', await s.verify({ name: 'ECDSA', hash: 'SHA-256' }, e, %s, utf8('%s')));
for (const [jwk, alg] of [[{ kty: 'RSA', k: 'AAAA' }, 'AES-CBC'], [{ kty: 'oct' }, 'AES-CBC'], [{ kty: 'oct', k: 'A*AA' }, 'AES-CBC'], [{ kty: 'oct', k: 'AAAA' }, 'AES-CBC'],
    [{ kty: 'oct', k: 'A'.repeat(22), alg: 'A256CBC' }, 'AES-CBC'], [{ kty: 'oct', k: 'A'.repeat(22), ext: false }, 'AES-CBC'],
    [{ kty: 'EC', crv: 'P-384', x: 'AA', y: 'AA' }, { name: 'ECDSA', namedCurve: 'P-256' }], [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, { name: 'ECDSA', namedCurve: 'P-256' }],
    [{ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }, { name: 'ECDSA', namedCurve: 'P-256' }]])
  ev('no', JSON.stringify(jwk), await rejected(s.importKey('jwk', jwk, alg, true, typeof alg === 'string' ? ['encrypt'] : ['verify'])));
''' % (hs_key, js_bytes(unb64(hs[1])), hs[0], js_bytes(unb64(es[1])), es[0]))
    equal((got.one('hs'), got.one('es')), (True, True))
    names(got.ev('no'), ['DataError'] * 9)


def test_MOD_58_refusals(t):
    got = run(t, '''
const k = await s.importKey('raw', new Uint8Array(16), 'AES-CBC', false, ['encrypt']), iv = new Uint8Array(16), d = new Uint8Array(1);
const no = async (name, f) => ev(name, String(f), await rejected(f));
await no('NotSupportedError', () => s.digest('MD5', d));
await no('NotSupportedError', () => s.generateKey('Ed25519', true, ['sign']));
await no('NotSupportedError', () => s.importKey('raw', d, { name: 'X25519' }, true, []));
await no('NotSupportedError', () => s.sign('AES-CBC', k, d));
await no('NotSupportedError', () => s.encrypt('HMAC', k, d));
await no('NotSupportedError', () => s.generateKey({ name: 'HMAC', hash: 'MD5' }, true, ['sign']));
await no('NotSupportedError', () => s.generateKey({ name: 'ECDSA', namedCurve: 'P-192' }, true, ['sign']));
await no('NotSupportedError', () => s.importKey('spki', d, 'AES-CBC', true, ['encrypt']));
await no('NotSupportedError', () => s.generateKey('PBKDF2', false, ['deriveBits']));
await no('InvalidAccessError', () => s.exportKey('raw', k));
await no('InvalidAccessError', () => s.decrypt({ name: 'AES-CBC', iv }, k, d));
await no('InvalidAccessError', () => s.encrypt({ name: 'AES-GCM', iv }, k, d));
await no('SyntaxError', () => s.generateKey({ name: 'AES-CBC', length: 128 }, true, []));
await no('SyntaxError', () => s.generateKey({ name: 'AES-CBC', length: 128 }, true, ['sign']));
await no('SyntaxError', () => s.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']));
await no('SyntaxError', () => s.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['encrypt', 'sign']));
await no('OperationError', () => s.generateKey({ name: 'AES-CBC', length: 100 }, true, ['encrypt']));
await no('OperationError', () => s.encrypt({ name: 'AES-CBC', iv: d }, k, d));
await no('OperationError', () => s.generateKey({ name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 100, publicExponent: new Uint8Array([1, 0, 1]) }, true, ['sign']));
await no('OperationError', () => s.generateKey({ name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([1]) }, true, ['sign']));
await no('OperationError', () => s.generateKey({ name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: new Uint8Array([4]) }, true, ['sign']));
await no('DataError', () => s.importKey('raw', new Uint8Array(15), 'AES-CBC', true, ['encrypt']));
await no('DataError', () => s.importKey('raw', new Uint8Array(0), { name: 'HMAC', hash: 'SHA-1' }, true, ['sign']));
await no('DataError', () => s.importKey('pkcs8', new Uint8Array(9), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign']));
await no('DataError', () => s.importKey('spki', new Uint8Array(0), { name: 'RSA-PSS', hash: 'SHA-1' }, true, ['verify']));
await no('DataError', () => s.importKey('raw', new Uint8Array(65).fill(4), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']));
const p384 = await s.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, ['sign', 'verify']), spki = await s.exportKey('spki', p384.publicKey);
await no('DataError', () => s.importKey('spki', spki, { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify']));
await no('DataError', () => s.importKey('spki', spki, { name: 'RSA-PSS', hash: 'SHA-1' }, true, ['verify']));
for (const f of [() => s.digest(), () => s.digest('SHA-1'), () => s.digest('SHA-1', 'text'), () => s.digest({}, d), () => s.encrypt({ name: 'AES-CBC' }, k, d),
  () => s.encrypt({ name: 'AES-CBC', iv }, {}, d), () => s.encrypt({ name: 'AES-CBC', iv }, k, 'x'), () => s.importKey('pem', d, 'AES-CBC', true, ['encrypt']),
  () => s.importKey('raw', d, 'AES-CBC', true, ['nope']), () => s.importKey('raw', d, 'AES-CBC', true), () => s.importKey('jwk', d, 'AES-CBC', true, ['encrypt']),
  () => s.importKey('raw', 'x', 'AES-CBC', true, ['encrypt']), () => s.exportKey('raw', {}), () => s.generateKey('HMAC', true, ['sign']), () => s.generateKey('ECDSA', true, ['sign'])])
  await no('TypeError', f);''')
    seen = {}
    for name, what, err in got.events:
        equal(err, [name, True, True], what)
        seen[name] = seen.get(name, 0) + 1
    equal(seen, {'NotSupportedError': 9, 'InvalidAccessError': 3, 'SyntaxError': 4, 'OperationError': 5, 'DataError': 7,
                 'TypeError': 15})


def test_MOD_58_keys_of_many_users(t):
    """In init code, in setup and by several users at once; nothing is left behind."""
    got = t.run(PRELUDE + '''
const alg = { name: 'HMAC', hash: 'SHA-256' };
const key = await s.importKey('raw', utf8('k'), alg, false, ['sign']);
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 8, iterations: 5 } } };
export async function setup() { return hex(await s.digest('SHA-1', utf8(''))); }
export default async function (data) {
  const pair = await s.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
  const h = { name: 'ECDSA', hash: 'SHA-256' }, sig = await s.sign(h, pair.privateKey, utf8('x'));
  ev('ok', data.length, (await s.sign('HMAC', key, utf8(''))).byteLength, await s.verify(h, pair.publicKey, sig, utf8('x')));
  s.digest('SHA-1', utf8('nobody waits'));
}''')
    equal(got.ev('ok'), [['ok', 40, 32, True]] * 40)


def test_MOD_58_wrap_jwk(t):
    got = run(t, '''
const kek = await s.generateKey({ name: 'AES-KW', length: 256 }, false, ['wrapKey', 'unwrapKey']);
const gcm = await s.generateKey({ name: 'AES-GCM', length: 128 }, false, ['wrapKey', 'unwrapKey']);
const mac = await s.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign', 'verify']), sig = await s.sign('HMAC', mac, utf8('x'));
for (const [k, a] of [[kek, 'AES-KW'], [gcm, { name: 'AES-GCM', iv: new Uint8Array(12) }]]) {
  const w = await s.wrapKey('jwk', mac, k, a), m = await s.unwrapKey('jwk', w, k, a, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  ev('jwk', await s.verify('HMAC', m, sig, utf8('x')));
}
const w = await s.wrapKey('raw', mac, gcm, { name: 'AES-GCM', iv: new Uint8Array(12) });
ev('bad', await rejected(s.unwrapKey('jwk', w, gcm, { name: 'AES-GCM', iv: new Uint8Array(12) }, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])));''')
    equal(got.values('jwk'), [True, True])
    equal(got.one('bad'), ['DataError', True, True])
