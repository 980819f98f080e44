// SPDX-License-Identifier: Apache-2.0
// URL and URLSearchParams (WHATWG URL 6) over the parser that it is called with.
'use strict';
((parse) => {
let attach, fill;
const usv = (x) => String(x).toWellFormed();
const need = (args, n, what) => { if (args.length < n) throw new TypeError(what + ' takes at least ' + n + ' argument' + (n > 1 ? 's' : '')); };
const hex = (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
const formEncode = (s) => encodeURIComponent(s).replace(/[!'()~]/g, hex).replace(/%20/g, '+');
const decodeBytes = (s) => {
  const text = s.replace(/\+/g, ' '), bytes = [];
  const utf8 = unescape(encodeURIComponent(text));
  for (let i = 0; i < utf8.length; i++) {
    const m = utf8[i] === '%' && /^[0-9a-f]{2}$/i.test(utf8.slice(i + 1, i + 3));
    bytes.push(m ? parseInt(utf8.slice(i + 1, i + 3), 16) : utf8.charCodeAt(i));
    if (m) i += 2;
  }
  return parse.decode(new Uint8Array(bytes));
};
const parseForm = (s) => s.split('&').filter((x) => x !== '').map((x) => {
  const at = x.indexOf('=');
  return at < 0 ? [decodeBytes(x), ''] : [decodeBytes(x.slice(0, at)), decodeBytes(x.slice(at + 1))];
});
const iteratorProto = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));

class URLSearchParams {
  #list = []; #url = null;
  static {
    attach = (url, query) => { const p = new URLSearchParams(); p.#url = url; p.#list = parseForm(query); return p; };
    fill = (p, query) => { p.#list = parseForm(query); };
  }
  constructor(init = '') {
    if ((typeof init === 'object' && init !== null) || typeof init === 'function') {
      if (typeof init[Symbol.iterator] === 'function') {
        for (const pair of init) {
          const items = [...pair];
          if (items.length !== 2) throw new TypeError('a pair of URLSearchParams must have two items');
          this.#list.push([usv(items[0]), usv(items[1])]);
        }
      } else for (const k of Reflect.ownKeys(init)) {
        if (!Object.getOwnPropertyDescriptor(init, k)?.enumerable) continue;
        if (typeof k === 'symbol') throw new TypeError('a symbol cannot be a name');
        const name = usv(k), value = usv(init[k]), at = this.#list.findIndex((p) => p[0] === name);
        if (at < 0) this.#list.push([name, value]); else this.#list[at][1] = value;
      }
    } else { const s = usv(init); this.#list = parseForm(s[0] === '?' ? s.slice(1) : s); }
  }
  #changed() { this.#url?.(this.toString()); }
  get size() { return this.#list.length; }
  append(name, value) { need(arguments, 2, 'append'); this.#list.push([usv(name), usv(value)]); this.#changed(); }
  delete(name, value = undefined) {
    need(arguments, 1, 'delete');
    name = usv(name);
    const v = value === undefined ? undefined : usv(value);
    this.#list = this.#list.filter((p) => p[0] !== name || (v !== undefined && p[1] !== v));
    this.#changed();
  }
  get(name) { need(arguments, 1, 'get'); name = usv(name); return this.#list.find((p) => p[0] === name)?.[1] ?? null; }
  getAll(name) { need(arguments, 1, 'getAll'); name = usv(name); return this.#list.filter((p) => p[0] === name).map((p) => p[1]); }
  has(name, value = undefined) {
    need(arguments, 1, 'has');
    name = usv(name);
    const v = value === undefined ? undefined : usv(value);
    return this.#list.some((p) => p[0] === name && (v === undefined || p[1] === v));
  }
  set(name, value) {
    need(arguments, 2, 'set');
    name = usv(name); value = usv(value);
    const at = this.#list.findIndex((p) => p[0] === name);
    if (at < 0) this.#list.push([name, value]);
    else { this.#list[at][1] = value; this.#list = this.#list.filter((p, i) => i <= at || p[0] !== name); }
    this.#changed();
  }
  sort() { this.#list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)); this.#changed(); }
  toString() { return this.#list.map((p) => formEncode(p[0]) + '=' + formEncode(p[1])).join('&'); }
  forEach(f, self = undefined) {
    if (typeof f !== 'function') throw new TypeError('forEach takes a function');
    for (let i = 0; i < this.#list.length; i++) f.call(self, this.#list[i][1], this.#list[i][0], this);
  }
  #each(pick) {
    let i = 0;
    const next = () => i < this.#list.length ? { value: pick(this.#list[i++]), done: false } : { value: undefined, done: true };
    return Object.create(iteratorProto, { next: { value: next }, [Symbol.toStringTag]: { value: 'URLSearchParams Iterator' } });
  }
  entries() { return this.#each((p) => [p[0], p[1]]); }
  keys() { return this.#each((p) => p[0]); }
  values() { return this.#each((p) => p[1]); }
}
Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { value: URLSearchParams.prototype.entries, writable: true, configurable: true });

const special = ['ftp', 'file', 'http', 'https', 'ws', 'wss'];
class URL {
  #r; #params = null;
  static parse(url, base = undefined) { need(arguments, 1, 'parse'); try { return new URL(url, base); } catch { return null; } }
  static canParse(url, base = undefined) { need(arguments, 1, 'canParse'); return URL.parse(url, base) !== null; }
  constructor(url, base = undefined) {
    need(arguments, 1, 'URL');
    const r = parse(usv(url), base === undefined ? undefined : usv(base));
    if (!r) throw new TypeError('Invalid URL: ' + usv(url));
    this.#r = r;
  }
  #write(r = this.#r) {
    let s = r.scheme + ':';
    if (r.host !== null) {
      s += '//';
      if (r.username !== '' || r.password !== '') s += r.username + (r.password !== '' ? ':' + r.password : '') + '@';
      s += r.host + (r.port >= 0 ? ':' + r.port : '');
    } else if (!r.opaque && r.path.startsWith('//')) s += '/.';
    return s + r.path + (r.query !== null ? '?' + r.query : '') + (r.fragment !== null ? '#' + r.fragment : '');
  }
  #sync() { if (this.#params) fill(this.#params, this.#r.query ?? ''); }
  #try(text) { const r = parse(text); if (r) this.#r = r; return r; }
  get href() { return this.#write(); }
  set href(v) {
    if (!this.#try(usv(v))) throw new TypeError('Invalid URL: ' + usv(v));
    this.#sync();
  }
  get origin() { return this.#r.origin; }
  get protocol() { return this.#r.scheme + ':'; }
  set protocol(v) {
    const scheme = /^[a-z][a-z0-9+.-]*/i.exec(usv(v).replace(/[\t\n\r]/g, ''))?.[0].toLowerCase(), r = this.#r;
    if (!scheme || special.includes(scheme) !== special.includes(r.scheme)) return;
    if (scheme === 'file' && (r.username !== '' || r.password !== '' || r.port >= 0)) return;
    if (r.scheme === 'file' && r.host === '') return;
    this.#try(this.#write({ ...r, scheme }));
  }
  #locked() { const r = this.#r; return r.host === null || r.host === '' || r.scheme === 'file'; }
  get username() { return this.#r.username; }
  set username(v) { if (!this.#locked()) this.#r.username = parse.userinfo(usv(v)); }
  get password() { return this.#r.password; }
  set password(v) { if (!this.#locked()) this.#r.password = parse.userinfo(usv(v)); }
  get host() { const r = this.#r; return r.host === null ? '' : r.host + (r.port >= 0 ? ':' + r.port : ''); }
  set host(v) {
    if (this.#r.opaque) return;
    v = /^[^/?#\\]*/.exec(usv(v))[0];
    const m = /^(\[[^\]]*\]|[^:]*)(?::(\d*).*)?$/.exec(v);
    if (!m || v.includes('@')) return;
    this.#setHost(m[1], m[2] === undefined || m[2] === '' ? undefined : Number(m[2]));
  }
  #setHost(host, port) {
    const r = this.#r;
    if (host === '' && (special.includes(r.scheme) && r.scheme !== 'file')) return;
    const got = parse(r.scheme + '://' + host + '/');
    if (!got) return;
    this.#try(this.#write({ ...r, host: got.host, port: port === undefined || port > 65535 ? r.port : port }));
  }
  get hostname() { return this.#r.host ?? ''; }
  set hostname(v) {
    v = /^[^/?#\\]*/.exec(usv(v))[0];
    if (!this.#r.opaque && !v.includes('@') && (v[0] === '[' || !v.includes(':'))) this.#setHost(v);
  }
  get port() { return this.#r.port >= 0 ? String(this.#r.port) : ''; }
  set port(v) {
    if (this.#locked()) return;
    v = usv(v).replace(/[\t\n\r]/g, '');
    if (v === '') { this.#r.port = -1; return; }
    const digits = /^\d+/.exec(v)?.[0];
    if (digits && Number(digits) <= 65535) this.#try(this.#write({ ...this.#r, port: Number(digits) }));
  }
  get pathname() { return this.#r.path; }
  set pathname(v) {
    const r = this.#r;
    if (r.opaque) return;
    v = usv(v).replace(/\?/g, '%3F').replace(/#/g, '%23');
    if (!/^[/\\]/.test(v) && (special.includes(r.scheme) || v !== '')) v = '/' + v;
    this.#try(this.#write({ ...r, path: v }));
  }
  get search() { return this.#r.query ? '?' + this.#r.query : ''; }
  set search(v) {
    v = usv(v);
    if (v === '') this.#r.query = null;
    else this.#try(this.#write({ ...this.#r, query: (v[0] === '?' ? v.slice(1) : v).replace(/#/g, '%23') }));
    this.#sync();
  }
  get hash() { return this.#r.fragment ? '#' + this.#r.fragment : ''; }
  set hash(v) {
    v = usv(v);
    if (v === '') this.#r.fragment = null;
    else this.#try(this.#write({ ...this.#r, fragment: v[0] === '#' ? v.slice(1) : v }));
  }
  get searchParams() {
    if (!this.#params) this.#params = attach((query) => { this.#r.query = query === '' ? null : query; }, this.#r.query ?? '');
    return this.#params;
  }
  toString() { return this.#write(); }
  toJSON() { return this.#write(); }
}
for (const c of [URL, URLSearchParams]) {
  for (const key of Object.getOwnPropertyNames(c.prototype))
    if (key !== 'constructor') Object.defineProperty(c.prototype, key, { enumerable: true });
  Object.defineProperty(c.prototype, Symbol.toStringTag, { value: c.name, configurable: true });
}
for (const key of ['parse', 'canParse']) Object.defineProperty(URL, key, { enumerable: true });
return { URL, URLSearchParams };
})
