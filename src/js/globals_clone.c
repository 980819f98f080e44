/* SPDX-License-Identifier: Apache-2.0 */
/* structuredClone (HTML 2.7.3 to 2.7.6), in JavaScript: what it makes are the script's own objects,
 * and deep values meet the engine's stack check. Compiled when first called, once a realm. */
#include "js/dom/dom.h"
#include "js/instance.h"

static JSClassID clone_class; /* never instantiated: its slot keeps the function */

/* (helpers) => structuredClone. `kind` numbers an object's class, `refuse` throws a DataCloneError,
 * `detach` empties a buffer. */
static const char source[] =
    "({ kind, refuse, detach }) => {\n"
    "  const K = new Map();\n"
    "  const TypedArray = Object.getPrototypeOf(Uint8Array);\n"
    "  for (const v of [{}, [], new Date(0), /x/, new Map(), new Set(), new ArrayBuffer(0),\n"
    "    new DataView(new ArrayBuffer(0)), new Error(''), Object(true), Object(1), Object(''), "
    "Object(1n),\n"
    "    (function () { return arguments; })()])\n"
    "    K.set(kind(v), Object.prototype.toString.call(v).slice(8, -1));\n"
    "  for (const T of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, "
    "Int32Array,\n"
    "    Uint32Array, BigInt64Array, BigUint64Array, Float32Array, Float64Array])\n"
    "    K.set(kind(new T(0)), T);\n"
    "  const errors = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError "
    "};\n"
    "  const own = (v, k) => Object.getOwnPropertyDescriptor(v, k);\n"
    "  const put = (o, k, value) => Object.defineProperty(o, k,\n"
    "    { value, writable: true, enumerable: true, configurable: true });\n"
    "  return (root, options) => {\n"
    "    const seen = new Map(), transfer = new Set(options?.transfer ?? []);\n"
    "    for (const b of transfer)\n"
    "      if (typeof b !== 'object' || b === null || K.get(kind(b)) !== 'ArrayBuffer')\n"
    "        refuse('only an ArrayBuffer can be transferred');\n"
    "    const keep = (v, c) => (seen.set(v, c), c);\n"
    "    const members = (v, c) => {\n"
    "      for (const k of Object.keys(v)) if (own(v, k)) put(c, k, clone(v[k]));\n"
    "      return c;\n"
    "    };\n"
    "    const view = (v, T) => {\n"
    "      const b = clone(v.buffer);\n"
    "      return keep(v, new T(b, v.byteOffset, T === DataView ? v.byteLength : v.length));\n"
    "    };\n"
    "    const error = (v) => {\n"
    "      const name = String(v.name), c = Object.create((errors[name] ?? Error).prototype);\n"
    "      const e = Object.setPrototypeOf(new Error(), Object.getPrototypeOf(c)); keep(v, e);\n"
    "      for (const k of ['message', 'stack', 'cause']) {\n"
    "        const d = own(v, k);\n"
    "        if (d && 'value' in d) Object.defineProperty(e, k, { value: k === 'cause' ? "
    "clone(d.value) :\n"
    "          String(d.value), writable: true, enumerable: false, configurable: true });\n"
    "        else if (k === 'message') delete e.message;\n"
    "      }\n"
    "      return e;\n"
    "    };\n"
    "    const clone = (v) => {\n"
    "      if (typeof v === 'symbol') refuse(`${String(v)} could not be cloned`);\n"
    "      if (typeof v === 'function') refuse(`a function could not be cloned`);\n"
    "      if (typeof v !== 'object' || v === null) return v;\n"
    "      if (seen.has(v)) return seen.get(v);\n"
    "      if (Array.isArray(v)) { const c = keep(v, []); c.length = v.length; return members(v, "
    "c); }\n"
    "      const type = K.get(kind(v));\n"
    "      switch (type) {\n"
    "      case 'Object': case 'Arguments': return members(v, keep(v, {}));\n"
    "      case 'Date': return keep(v, new Date(Date.prototype.getTime.call(v)));\n"
    "      case 'RegExp': return keep(v, new RegExp(v.source, v.flags));\n"
    "      case 'Boolean': case 'Number': case 'String': case 'BigInt': return keep(v, "
    "Object(v.valueOf()));\n"
    "      case 'Error': return error(v);\n"
    "      case 'ArrayBuffer': return keep(v, ArrayBuffer.prototype.slice.call(v, 0));\n"
    "      case 'DataView': return view(v, DataView);\n"
    "      case 'Map': {\n"
    "        const c = keep(v, new Map()), items = [];\n"
    "        Map.prototype.forEach.call(v, (x, k) => items.push([k, x]));\n"
    "        for (const [k, x] of items) c.set(clone(k), clone(x));\n"
    "        return c;\n"
    "      }\n"
    "      case 'Set': {\n"
    "        const c = keep(v, new Set()), items = [];\n"
    "        Set.prototype.forEach.call(v, (x) => items.push(x));\n"
    "        for (const x of items) c.add(clone(x));\n"
    "        return c;\n"
    "      }\n"
    "      }\n"
    "      if (typeof type === 'function' && v instanceof TypedArray) return view(v, type);\n"
    "      return refuse(`${Object.prototype.toString.call(v)} could not be cloned`);\n"
    "    };\n"
    "    const result = clone(root);\n"
    "    for (const b of transfer) detach(b);\n"
    "    return result;\n"
    "  };\n"
    "}";

static JSValue kind(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc; /* the engine pads argv to the declared length */
    return JS_NewUint32(ctx, JS_GetClassID(argv[0]));
}

static JSValue refuse(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    const char *text = JS_ToCString(ctx, argv[0]);

    (void)this_val, (void)argc;
    if (!text)
        return JS_EXCEPTION;
    sq_dom_throw(ctx, "DataCloneError", "%s", text);
    JS_FreeCString(ctx, text);
    return JS_EXCEPTION;
}

static JSValue detach(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val, (void)argc;
    JS_DetachArrayBuffer(ctx, argv[0]);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry helpers[] = {
    JS_CFUNC_DEF("kind", 1, kind),
    JS_CFUNC_DEF("refuse", 1, refuse),
    JS_CFUNC_DEF("detach", 1, detach),
};

static JSValue make(JSContext *ctx)
{
    JSValue given = JS_NewObject(ctx);
    JSValue factory =
        JS_Eval(ctx, source, sizeof source - 1, "squall:structuredClone", JS_EVAL_TYPE_GLOBAL);
    JSValueConst argument = given;
    JSValue fn = factory;

    JS_SetPropertyFunctionList(ctx, given, helpers, SQ_COUNT(helpers));
    if (!JS_IsException(factory)) {
        fn = JS_Call(ctx, factory, JS_UNDEFINED, 1, &argument);
        JS_FreeValue(ctx, factory);
    }
    JS_FreeValue(ctx, given);
    return fn;
}

/* That it was made is no change of a builtin by the script. */
static JSValue make_once(JSContext *ctx)
{
    struct sq_js_cell *cell = JS_GetContextOpaque(ctx);
    JSValue fn = JS_GetClassProto(ctx, clone_class);

    if (JS_IsObject(fn))
        return fn;
    bool watched = cell->worker->bundle->load_pass;
    uint64_t before = watched ? sq_js_builtins_fingerprint(ctx) : 0;
    fn = make(ctx);
    if (!JS_IsException(fn))
        JS_SetClassProto(ctx, clone_class, JS_DupValue(ctx, fn));
    if (watched)
        cell->fingerprint_ours += sq_js_builtins_fingerprint(ctx) - before;
    return fn;
}

static JSValue structured_clone(JSContext *ctx, JSValueConst this_val, int argc, JSValueConst *argv)
{
    (void)this_val;
    if (argc < 1)
        return JS_ThrowTypeError(ctx, "structuredClone() needs a value");
    JSValue fn = make_once(ctx);
    if (JS_IsException(fn))
        return fn;
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, argc, argv);
    JS_FreeValue(ctx, fn);
    return result;
}

void sq_js_clone_class_ids(void)
{
    JS_NewClassID(&clone_class);
}

void sq_js_clone_globals(JSContext *ctx, JSValueConst global)
{
    static const JSClassDef definition = {.class_name = "structuredClone"};

    JS_NewClass(JS_GetRuntime(ctx), clone_class, &definition);
    JS_DefinePropertyValueStr(ctx, global, "structuredClone",
                              JS_NewCFunction(ctx, structured_clone, "structuredClone", 1),
                              JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
}
