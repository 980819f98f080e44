// SPDX-License-Identifier: Apache-2.0
// An HTTP server of Node.js for the cases of k6/http: over clear text, and with HTTP/2 over TLS when a folder with
// cert.pem and key.pem is given. Prints JSON lines: its ports, then whatever the pages are to report.
// usage: node_server.js FOLDER   (body.zst in it is what /zstd sends)
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const path = require('path');
const zlib = require('zlib');

const folder = process.argv[2];
const say = (o) => fs.writeSync(1, JSON.stringify(o) + '\n');
const text = 'squeezed'.repeat(1000);
let connections = 0;
const nonces = new Map();    // nonce -> requests it has served

const md5 = (s, alg) => crypto.createHash(alg).update(s).digest('hex');

function digest(req, res, alg, qop, lives) {
  const hash = alg === 'SHA-256' ? 'sha256' : 'md5';
  const given = req.headers.authorization || '';
  const parts = {};
  for (const [, name, quoted, plain] of given.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,]+))/g)) parts[name] = quoted ?? plain;
  const known = given.startsWith('Digest ') && nonces.has(parts.nonce);
  const stale = known && nonces.get(parts.nonce) >= lives;
  if (!known || stale) {
    const nonce = crypto.randomBytes(8).toString('hex');
    nonces.set(nonce, 0);
    res.writeHead(401, { 'WWW-Authenticate': `Digest realm="the realm", nonce="${nonce}", opaque="op", algorithm=${alg}` +
      (qop === 'none' ? '' : `, qop="${qop}"`) + (stale ? ', stale=true' : '') });
    return res.end('who?');
  }
  nonces.set(parts.nonce, nonces.get(parts.nonce) + 1);
  const a1 = md5('user:the realm:se cret', hash), a2 = md5(`${req.method}:${req.url}`, hash);
  const want = qop === 'none' ? md5(`${a1}:${parts.nonce}:${a2}`, hash)
    : md5(`${a1}:${parts.nonce}:${parts.nc}:${parts.cnonce}:auth:${a2}`, hash);
  const ok = parts.response === want && parts.uri === req.url && parts.opaque === 'op' && parts.username === 'user';
  res.writeHead(ok ? 200 : 403);
  return res.end(JSON.stringify({ ok, alg: parts.algorithm, qop: parts.qop }));
}

function stream(res, left) {    // `left` bytes of x, as fast as they go
  const block = Buffer.alloc(1 << 18, 'x');
  const more = () => {
    while (left > 0) {
      const part = left < block.length ? block.subarray(0, left) : block;
      left -= part.length;
      if (!res.write(part)) return res.once('drain', more);
    }
    return res.end();
  };
  more();
}

const later = (ms, f) => setTimeout(f, Number(ms));

const pages = {
  echo(req, res) {
    const parts = [];
    req.on('data', (d) => parts.push(d));
    req.on('end', () => res.end(JSON.stringify({ method: req.method, url: req.url, version: req.httpVersion, headers: req.headers,
      body: Buffer.concat(parts).toString('latin1') })));
  },
  count(req, res) {
    const socket = req.stream ? req.stream.session.socket : req.socket;
    socket.number ??= ++connections;
    socket.served = (socket.served || 0) + 1;
    res.end(JSON.stringify({ connection: socket.number, served: socket.served }));
  },
  gzip(req, res) { res.writeHead(200, { 'Content-Encoding': 'gzip' }); res.end(zlib.gzipSync(text)); },
  deflate(req, res) { res.writeHead(200, { 'Content-Encoding': 'deflate' }); res.end(zlib.deflateSync(text)); },
  br(req, res) { res.writeHead(200, { 'Content-Encoding': 'br' }); res.end(zlib.brotliCompressSync(text)); },
  zstd(req, res) { res.writeHead(200, { 'Content-Encoding': 'zstd' }); res.end(fs.readFileSync(path.join(folder, 'body.zst'))); },
  both(req, res) {
    res.writeHead(200, { 'Content-Encoding': 'gzip, br' });
    res.end(zlib.brotliCompressSync(zlib.gzipSync(text)));
  },
  bad(req, res, coding) { res.writeHead(200, { 'Content-Encoding': coding }); res.end('this is nothing of that kind at all'); },
  cut(req, res, coding) {
    const whole = coding === 'br' ? zlib.brotliCompressSync(crypto.randomBytes(5000)) : zlib.gzipSync(crypto.randomBytes(5000));
    res.writeHead(200, { 'Content-Encoding': coding, 'Content-Length': 3000 });
    res.end(whole.subarray(0, 3000));
  },
  digest(req, res, alg, qop, lives) { digest(req, res, alg, qop || 'auth', Number(lives || 1e9)); },
  cookie(req, res, name, value) {
    res.setHeader('Set-Cookie', [`${name}=${value}; Path=/`, 'deep=1; Path=/cookie']);
    res.end(req.headers.cookie || '');
  },
  expire(req, res, name) { res.setHeader('Set-Cookie', `${name}=; Path=/; Max-Age=0`); res.end(req.headers.cookie || ''); },
  close(req, res) { res.setHeader('Connection', 'close'); pages.count(req, res); },
  hints(req, res) {
    res.writeEarlyHints({ link: '</style.css>; rel=preload' });
    res.writeProcessing();
    res.writeHead(200, { 'X-Last': 'yes' });
    res.end('after');
  },
  bytes(req, res, count) { res.writeHead(200); stream(res, Number(count)); },
  endless(req, res) { res.writeHead(200); stream(res, Infinity); },
  bomb(req, res) {    // a little on the wire, 200 MiB when unpacked
    res.writeHead(200, { 'Content-Encoding': 'gzip' });
    const gzip = zlib.createGzip({ level: 9 });
    gzip.pipe(res);
    stream(gzip, 200 << 20);
  },
  phases(req, res, before, between) {
    later(before, () => {
      res.writeHead(200, { 'Content-Length': 10 });
      res.write('first');
      later(between, () => res.end('other'));
    });
  },
  lazy(req, res, ms) {    // looks at the body late
    req.pause();
    later(ms, () => { let n = 0; req.on('data', (d) => { n += d.length; }); req.on('end', () => res.end(String(n))); req.resume(); });
  },
  trickle(req, res, ms) {    // one byte now and then, for ever
    res.writeHead(200);
    const timer = setInterval(() => res.write('.'), Number(ms));
    res.on('close', () => clearInterval(timer));
  },
  chunks(req, res) {
    res.writeHead(200, { Trailer: 'X-After' });
    for (let i = 0; i < 100; i++) res.write(String(i % 10).repeat(i));
    res.addTrailers({ 'X-After': 'yes' });
    res.end();
  },
  redirect(req, res, status, target) {
    res.writeHead(Number(status), { Location: decodeURIComponent(target), 'Set-Cookie': `hop${status}=1; Path=/` });
    res.end();
  },
  manyheaders(req, res, count, size) {
    const socket = req.socket;
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n');
    for (let i = 0; i < Number(count); i++) socket.write(`X-H${i}: ${'v'.repeat(Number(size))}\r\n`);
    socket.end('\r\nok');
  },
  headline(req, res) {    // a header line that does not end
    const socket = req.socket;
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\nX: ');
    const more = () => { while (!socket.destroyed && socket.write('y'.repeat(65536))); };
    socket.on('drain', more);
    more();
  },
  reset(req, res) { if (req.stream) req.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR); else req.socket.resetAndDestroy(); },
  refuse(req) { req.stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM); },
  goaway(req) { req.stream.session.destroy(undefined, http2.constants.NGHTTP2_ENHANCE_YOUR_CALM); },
};

function answer(req, res) {
  res.on('error', () => {});
  req.on('error', () => {});
  const [name, ...args] = req.url.split('?')[0].slice(1).split('/');
  say({ asked: req.url, version: req.httpVersion });
  if (pages[name]) pages[name](req, res, ...args);
  else { res.writeHead(404); res.end('no such page'); }
}

function upgrade(req, socket) {    // a WebSocket that says what cookies came, and brings one
  const accept = crypto.createHash('sha1').update(req.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
    .digest('base64');
  const said = Buffer.from(req.headers.cookie || '');
  socket.on('error', () => {});
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
    'Set-Cookie: fromws=w; Path=/\r\n\r\n');
  socket.write(Buffer.concat([Buffer.from([0x81, said.length]), said]));
  socket.once('data', () => socket.end(Buffer.from([0x88, 2, 3, 0xe8])));
}

process.on('uncaughtException', (e) => say({ problem: String(e) }));
const plain = http.createServer({ maxHeaderSize: 1 << 20 }, answer);
plain.on('upgrade', upgrade);
plain.on('checkContinue', (req, res) => {
  say({ expected: req.url });
  if (req.url.startsWith('/refused')) { res.writeHead(417); return res.end('no'); }
  res.writeContinue();
  return answer(req, res);
});
plain.keepAliveTimeout = 60000;
plain.listen(0, '127.0.0.1', () => {
  const ports = { port: plain.address().port };
  if (!fs.existsSync(path.join(folder, 'key.pem'))) return say(ports);
  const secure = http2.createSecureServer({ allowHTTP1: true, key: fs.readFileSync(path.join(folder, 'key.pem')),
    cert: fs.readFileSync(path.join(folder, 'cert.pem')) }, answer);
  secure.on('sessionError', () => {});
  return secure.listen(0, '127.0.0.1', () => say({ ...ports, tls: secure.address().port }));
});
