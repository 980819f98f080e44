/* SPDX-License-Identifier: Apache-2.0 */
/* URL and URLSearchParams (WHATWG URL 6): classes in JavaScript over the parser of url_parse.c. */
#include <stdlib.h>

#include "js/dom/dom.h"
#include "js/dom/url_parse.h"

static JSValue text_or_null(JSContext *ctx, const char *text)
{
    return text ? JS_NewString(ctx, text) : JS_NULL;
}

static JSValue record(JSContext *ctx, const struct dom_url *u)
{
    const struct {
        const char *name;
        JSValue value;
    } fields[] = {
        {"scheme", JS_NewString(ctx, u->scheme)},     {"username", JS_NewString(ctx, u->username)},
        {"password", JS_NewString(ctx, u->password)}, {"host", text_or_null(ctx, u->host)},
        {"port", JS_NewInt32(ctx, u->port)},          {"path", JS_NewString(ctx, u->path)},
        {"query", text_or_null(ctx, u->query)},       {"fragment", text_or_null(ctx, u->fragment)},
        {"opaque", JS_NewBool(ctx, u->opaque)},
    };
    struct sq_buf origin = {0};
    JSValue object = JS_NewObject(ctx);

    for (size_t i = 0; i < SQ_COUNT(fields); i++)
        JS_DefinePropertyValueStr(ctx, object, fields[i].name, fields[i].value, JS_PROP_C_W_E);
    sq_dom_url_origin(u, &origin);
    JS_DefinePropertyValueStr(ctx, object, "origin", JS_NewString(ctx, sq_buf_cstr(&origin)),
                              JS_PROP_C_W_E);
    sq_buf_deinit(&origin);
    return object;
}

/* parse(text, base): the record, or undefined. */
static JSValue parse(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct dom_url url, base;
    bool has_base = argc > 1 && !JS_IsUndefined(argv[1]);
    JSValue result = JS_UNDEFINED;
    size_t len = 0, base_len = 0;
    char *text = sq_dom_text(ctx, argv[0], &len);
    char *base_text = text && has_base ? sq_dom_text(ctx, argv[1], &base_len) : NULL;

    (void)this_val;
    if (!text || (has_base && !base_text)) {
        free(text);
        return JS_EXCEPTION;
    }
    if (has_base && sq_dom_url_parse(sq_slice(base_text, base_len), NULL, &base) < 0)
        goto out;
    if (sq_dom_url_parse(sq_slice(text, len), has_base ? &base : NULL, &url) == 0) {
        result = record(ctx, &url);
        sq_dom_url_deinit(&url);
    }
    if (has_base)
        sq_dom_url_deinit(&base);
out:
    free(text);
    free(base_text);
    return result;
}

/* Bytes as text, what is not UTF-8 replaced. */
static JSValue decode(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    struct sq_buf text = {0};
    struct sq_slice bytes;
    JSValue result = JS_UNDEFINED;

    (void)this_val, (void)argc;
    if (sq_dom_bytes(ctx, argv[0], &bytes)) {
        result = sq_js_decode_utf8(bytes.data, bytes.len, &text) < 0
                     ? JS_ThrowOutOfMemory(ctx)
                     : JS_NewStringLen(ctx, sq_buf_cstr(&text), text.len);
        sq_buf_deinit(&text);
    }
    return result;
}

static JSValue userinfo(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    size_t len;
    char *text = sq_dom_text(ctx, argv[0], &len);

    (void)this_val, (void)argc;
    if (!text)
        return JS_EXCEPTION;
    char *encoded = sq_dom_url_userinfo(sq_slice(text, len));
    JSValue result = JS_NewString(ctx, encoded);
    free(encoded);
    free(text);
    return result;
}

static const JSCFunctionListEntry helpers[] = {
    JS_CFUNC_DEF("decode", 1, decode),
    JS_CFUNC_DEF("userinfo", 1, userinfo),
};

/* One line of it is one line here. */
/* clang-format off */
static const char source[] =
    "'use strict';\n"
    "((parse) => {\n"
    "let attach, fill;\n"
    "const usv = (x) => String(x).toWellFormed();\n"
    "const need = (args, n, what) => { if (args.length < n) throw new TypeError(what + ' takes at least ' + n + ' argument' + (n > 1 ? 's' : '')); };\n"
    "const hex = (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');\n"
    "const formEncode = (s) => encodeURIComponent(s).replace(/[!'()~]/g, hex).replace(/%20/g, '+');\n"
    "const decodeBytes = (s) => {\n"
    "  const text = s.replace(/\\+/g, ' '), bytes = [];\n"
    "  const utf8 = unescape(encodeURIComponent(text));\n"
    "  for (let i = 0; i < utf8.length; i++) {\n"
    "    const m = utf8[i] === '%' && /^[0-9a-f]{2}$/i.test(utf8.slice(i + 1, i + 3));\n"
    "    bytes.push(m ? parseInt(utf8.slice(i + 1, i + 3), 16) : utf8.charCodeAt(i));\n"
    "    if (m) i += 2;\n"
    "  }\n"
    "  return parse.decode(new Uint8Array(bytes));\n"
    "};\n"
    "const parseForm = (s) => s.split('&').filter((x) => x !== '').map((x) => {\n"
    "  const at = x.indexOf('=');\n"
    "  return at < 0 ? [decodeBytes(x), ''] : [decodeBytes(x.slice(0, at)), decodeBytes(x.slice(at + 1))];\n"
    "});\n"
    "const iteratorProto = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));\n"
    "\n"
    "class URLSearchParams {\n"
    "  #list = []; #url = null;\n"
    "  static {\n"
    "    attach = (url, query) => { const p = new URLSearchParams(); p.#url = url; p.#list = parseForm(query); return p; };\n"
    "    fill = (p, query) => { p.#list = parseForm(query); };\n"
    "  }\n"
    "  constructor(init = '') {\n"
    "    if ((typeof init === 'object' && init !== null) || typeof init === 'function') {\n"
    "      if (typeof init[Symbol.iterator] === 'function') {\n"
    "        for (const pair of init) {\n"
    "          const items = [...pair];\n"
    "          if (items.length !== 2) throw new TypeError('a pair of URLSearchParams must have two items');\n"
    "          this.#list.push([usv(items[0]), usv(items[1])]);\n"
    "        }\n"
    "      } else for (const k of Reflect.ownKeys(init)) {\n"
    "        if (!Object.getOwnPropertyDescriptor(init, k)?.enumerable) continue;\n"
    "        if (typeof k === 'symbol') throw new TypeError('a symbol cannot be a name');\n"
    "        const name = usv(k), value = usv(init[k]), at = this.#list.findIndex((p) => p[0] === name);\n"
    "        if (at < 0) this.#list.push([name, value]); else this.#list[at][1] = value;\n"
    "      }\n"
    "    } else { const s = usv(init); this.#list = parseForm(s[0] === '?' ? s.slice(1) : s); }\n"
    "  }\n"
    "  #changed() { this.#url?.(this.toString()); }\n"
    "  get size() { return this.#list.length; }\n"
    "  append(name, value) { need(arguments, 2, 'append'); this.#list.push([usv(name), usv(value)]); this.#changed(); }\n"
    "  delete(name, value = undefined) {\n"
    "    need(arguments, 1, 'delete');\n"
    "    name = usv(name);\n"
    "    const v = value === undefined ? undefined : usv(value);\n"
    "    this.#list = this.#list.filter((p) => p[0] !== name || (v !== undefined && p[1] !== v));\n"
    "    this.#changed();\n"
    "  }\n"
    "  get(name) { need(arguments, 1, 'get'); name = usv(name); return this.#list.find((p) => p[0] === name)?.[1] ?\? null; }\n"
    "  getAll(name) { need(arguments, 1, 'getAll'); name = usv(name); return this.#list.filter((p) => p[0] === name).map((p) => p[1]); }\n"
    "  has(name, value = undefined) {\n"
    "    need(arguments, 1, 'has');\n"
    "    name = usv(name);\n"
    "    const v = value === undefined ? undefined : usv(value);\n"
    "    return this.#list.some((p) => p[0] === name && (v === undefined || p[1] === v));\n"
    "  }\n"
    "  set(name, value) {\n"
    "    need(arguments, 2, 'set');\n"
    "    name = usv(name); value = usv(value);\n"
    "    const at = this.#list.findIndex((p) => p[0] === name);\n"
    "    if (at < 0) this.#list.push([name, value]);\n"
    "    else { this.#list[at][1] = value; this.#list = this.#list.filter((p, i) => i <= at || p[0] !== name); }\n"
    "    this.#changed();\n"
    "  }\n"
    "  sort() { this.#list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)); this.#changed(); }\n"
    "  toString() { return this.#list.map((p) => formEncode(p[0]) + '=' + formEncode(p[1])).join('&'); }\n"
    "  forEach(f, self = undefined) {\n"
    "    if (typeof f !== 'function') throw new TypeError('forEach takes a function');\n"
    "    for (let i = 0; i < this.#list.length; i++) f.call(self, this.#list[i][1], this.#list[i][0], this);\n"
    "  }\n"
    "  #each(pick) {\n"
    "    let i = 0;\n"
    "    const next = () => i < this.#list.length ? { value: pick(this.#list[i++]), done: false } : { value: undefined, done: true };\n"
    "    return Object.create(iteratorProto, { next: { value: next }, [Symbol.toStringTag]: { value: 'URLSearchParams Iterator' } });\n"
    "  }\n"
    "  entries() { return this.#each((p) => [p[0], p[1]]); }\n"
    "  keys() { return this.#each((p) => p[0]); }\n"
    "  values() { return this.#each((p) => p[1]); }\n"
    "}\n"
    "Object.defineProperty(URLSearchParams.prototype, Symbol.iterator, { value: URLSearchParams.prototype.entries, writable: true, configurable: true });\n"
    "\n"
    "const special = ['ftp', 'file', 'http', 'https', 'ws', 'wss'];\n"
    "class URL {\n"
    "  #r; #params = null;\n"
    "  static parse(url, base = undefined) { need(arguments, 1, 'parse'); try { return new URL(url, base); } catch { return null; } }\n"
    "  static canParse(url, base = undefined) { need(arguments, 1, 'canParse'); return URL.parse(url, base) !== null; }\n"
    "  constructor(url, base = undefined) {\n"
    "    need(arguments, 1, 'URL');\n"
    "    const r = parse(usv(url), base === undefined ? undefined : usv(base));\n"
    "    if (!r) throw new TypeError('Invalid URL: ' + usv(url));\n"
    "    this.#r = r;\n"
    "  }\n"
    "  #write(r = this.#r) {\n"
    "    let s = r.scheme + ':';\n"
    "    if (r.host !== null) {\n"
    "      s += '//';\n"
    "      if (r.username !== '' || r.password !== '') s += r.username + (r.password !== '' ? ':' + r.password : '') + '@';\n"
    "      s += r.host + (r.port >= 0 ? ':' + r.port : '');\n"
    "    } else if (!r.opaque && r.path.startsWith('//')) s += '/.';\n"
    "    return s + r.path + (r.query !== null ? '?' + r.query : '') + (r.fragment !== null ? '#' + r.fragment : '');\n"
    "  }\n"
    "  #sync() { if (this.#params) fill(this.#params, this.#r.query ?\? ''); }\n"
    "  #try(text) { const r = parse(text); if (r) this.#r = r; return r; }\n"
    "  get href() { return this.#write(); }\n"
    "  set href(v) {\n"
    "    if (!this.#try(usv(v))) throw new TypeError('Invalid URL: ' + usv(v));\n"
    "    this.#sync();\n"
    "  }\n"
    "  get origin() { return this.#r.origin; }\n"
    "  get protocol() { return this.#r.scheme + ':'; }\n"
    "  set protocol(v) {\n"
    "    const scheme = /^[a-z][a-z0-9+.-]*/i.exec(usv(v).replace(/[\\t\\n\\r]/g, ''))?.[0].toLowerCase(), r = this.#r;\n"
    "    if (!scheme || special.includes(scheme) !== special.includes(r.scheme)) return;\n"
    "    if (scheme === 'file' && (r.username !== '' || r.password !== '' || r.port >= 0)) return;\n"
    "    if (r.scheme === 'file' && r.host === '') return;\n"
    "    this.#try(this.#write({ ...r, scheme }));\n"
    "  }\n"
    "  #locked() { const r = this.#r; return r.host === null || r.host === '' || r.scheme === 'file'; }\n"
    "  get username() { return this.#r.username; }\n"
    "  set username(v) { if (!this.#locked()) this.#r.username = parse.userinfo(usv(v)); }\n"
    "  get password() { return this.#r.password; }\n"
    "  set password(v) { if (!this.#locked()) this.#r.password = parse.userinfo(usv(v)); }\n"
    "  get host() { const r = this.#r; return r.host === null ? '' : r.host + (r.port >= 0 ? ':' + r.port : ''); }\n"
    "  set host(v) {\n"
    "    if (this.#r.opaque) return;\n"
    "    v = /^[^/?#\\\\]*/.exec(usv(v))[0];\n"
    "    const m = /^(\\[[^\\]]*\\]|[^:]*)(?::(\\d*).*)?$/.exec(v);\n"
    "    if (!m || v.includes('@')) return;\n"
    "    this.#setHost(m[1], m[2] === undefined || m[2] === '' ? undefined : Number(m[2]));\n"
    "  }\n"
    "  #setHost(host, port) {\n"
    "    const r = this.#r;\n"
    "    if (host === '' && (special.includes(r.scheme) && r.scheme !== 'file')) return;\n"
    "    const got = parse(r.scheme + '://' + host + '/');\n"
    "    if (!got) return;\n"
    "    this.#try(this.#write({ ...r, host: got.host, port: port === undefined || port > 65535 ? r.port : port }));\n"
    "  }\n"
    "  get hostname() { return this.#r.host ?\? ''; }\n"
    "  set hostname(v) {\n"
    "    v = /^[^/?#\\\\]*/.exec(usv(v))[0];\n"
    "    if (!this.#r.opaque && !v.includes('@') && (v[0] === '[' || !v.includes(':'))) this.#setHost(v);\n"
    "  }\n"
    "  get port() { return this.#r.port >= 0 ? String(this.#r.port) : ''; }\n"
    "  set port(v) {\n"
    "    if (this.#locked()) return;\n"
    "    v = usv(v).replace(/[\\t\\n\\r]/g, '');\n"
    "    if (v === '') { this.#r.port = -1; return; }\n"
    "    const digits = /^\\d+/.exec(v)?.[0];\n"
    "    if (digits && Number(digits) <= 65535) this.#try(this.#write({ ...this.#r, port: Number(digits) }));\n"
    "  }\n"
    "  get pathname() { return this.#r.path; }\n"
    "  set pathname(v) {\n"
    "    const r = this.#r;\n"
    "    if (r.opaque) return;\n"
    "    v = usv(v).replace(/\\?/g, '%3F').replace(/#/g, '%23');\n"
    "    if (!/^[/\\\\]/.test(v) && (special.includes(r.scheme) || v !== '')) v = '/' + v;\n"
    "    this.#try(this.#write({ ...r, path: v }));\n"
    "  }\n"
    "  get search() { return this.#r.query ? '?' + this.#r.query : ''; }\n"
    "  set search(v) {\n"
    "    v = usv(v);\n"
    "    if (v === '') this.#r.query = null;\n"
    "    else this.#try(this.#write({ ...this.#r, query: (v[0] === '?' ? v.slice(1) : v).replace(/#/g, '%23') }));\n"
    "    this.#sync();\n"
    "  }\n"
    "  get hash() { return this.#r.fragment ? '#' + this.#r.fragment : ''; }\n"
    "  set hash(v) {\n"
    "    v = usv(v);\n"
    "    if (v === '') this.#r.fragment = null;\n"
    "    else this.#try(this.#write({ ...this.#r, fragment: v[0] === '#' ? v.slice(1) : v }));\n"
    "  }\n"
    "  get searchParams() {\n"
    "    if (!this.#params) this.#params = attach((query) => { this.#r.query = query === '' ? null : query; }, this.#r.query ?\? '');\n"
    "    return this.#params;\n"
    "  }\n"
    "  toString() { return this.#write(); }\n"
    "  toJSON() { return this.#write(); }\n"
    "}\n"
    "for (const c of [URL, URLSearchParams]) {\n"
    "  for (const key of Object.getOwnPropertyNames(c.prototype))\n"
    "    if (key !== 'constructor') Object.defineProperty(c.prototype, key, { enumerable: true });\n"
    "  Object.defineProperty(c.prototype, Symbol.toStringTag, { value: c.name, configurable: true });\n"
    "}\n"
    "for (const key of ['parse', 'canParse']) Object.defineProperty(URL, key, { enumerable: true });\n"
    "return { URL, URLSearchParams };\n"
    "})\n";
/* clang-format on */

int sq_dom_url_classes(JSContext *ctx, JSValueConst all)
{
    JSValue make = JS_Eval(ctx, source, strlen(source), "squall:url", JS_EVAL_TYPE_GLOBAL);
    JSValue fn = JS_NewCFunction(ctx, parse, "parse", 2);
    int rc = -1;

    JS_SetPropertyFunctionList(ctx, fn, helpers, SQ_COUNT(helpers));
    JSValue made = JS_IsException(make) ? JS_EXCEPTION : JS_Call(ctx, make, JS_UNDEFINED, 1, &fn);
    if (!JS_IsException(made) &&
        JS_SetPropertyStr(ctx, all, "URL", JS_GetPropertyStr(ctx, made, "URL")) >= 0)
        rc = JS_SetPropertyStr(ctx, all, "URLSearchParams",
                               JS_GetPropertyStr(ctx, made, "URLSearchParams"));
    JS_FreeValue(ctx, made);
    JS_FreeValue(ctx, fn);
    JS_FreeValue(ctx, make);
    return rc < 0 ? -1 : 0;
}
