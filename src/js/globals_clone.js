// SPDX-License-Identifier: Apache-2.0
// structuredClone (HTML 2.7.3 to 2.7.6). (helpers) => structuredClone. `kind` numbers an object's class, `refuse` throws
// a DataCloneError, `detach` empties a buffer.
({ kind, refuse, detach }) => {
  const K = new Map();
  const TypedArray = Object.getPrototypeOf(Uint8Array);
  for (const v of [{}, [], new Date(0), /x/, new Map(), new Set(), new ArrayBuffer(0),
    new DataView(new ArrayBuffer(0)), new Error(''), Object(true), Object(1), Object(''), Object(1n),
    (function () { return arguments; })()])
    K.set(kind(v), Object.prototype.toString.call(v).slice(8, -1));
  for (const T of [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array,
    Uint32Array, BigInt64Array, BigUint64Array, Float32Array, Float64Array])
    K.set(kind(new T(0)), T);
  const errors = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
  const own = (v, k) => Object.getOwnPropertyDescriptor(v, k);
  const put = (o, k, value) => Object.defineProperty(o, k,
    { value, writable: true, enumerable: true, configurable: true });
  return (root, options) => {
    const seen = new Map(), transfer = new Set(options?.transfer ?? []);
    for (const b of transfer)
      if (typeof b !== 'object' || b === null || K.get(kind(b)) !== 'ArrayBuffer')
        refuse('only an ArrayBuffer can be transferred');
    const keep = (v, c) => (seen.set(v, c), c);
    const members = (v, c) => {
      for (const k of Object.keys(v)) if (own(v, k)) put(c, k, clone(v[k]));
      return c;
    };
    const view = (v, T) => {
      const b = clone(v.buffer);
      return keep(v, new T(b, v.byteOffset, T === DataView ? v.byteLength : v.length));
    };
    const error = (v) => {
      const name = String(v.name), c = Object.create((errors[name] ?? Error).prototype);
      const e = Object.setPrototypeOf(new Error(), Object.getPrototypeOf(c)); keep(v, e);
      for (const k of ['message', 'stack', 'cause']) {
        const d = own(v, k);
        if (d && 'value' in d) Object.defineProperty(e, k, { value: k === 'cause' ? clone(d.value) :
          String(d.value), writable: true, enumerable: false, configurable: true });
        else if (k === 'message') delete e.message;
      }
      return e;
    };
    const clone = (v) => {
      if (typeof v === 'symbol') refuse(`${String(v)} could not be cloned`);
      if (typeof v === 'function') refuse(`a function could not be cloned`);
      if (typeof v !== 'object' || v === null) return v;
      if (seen.has(v)) return seen.get(v);
      if (Array.isArray(v)) { const c = keep(v, []); c.length = v.length; return members(v, c); }
      const type = K.get(kind(v));
      switch (type) {
      case 'Object': case 'Arguments': return members(v, keep(v, {}));
      case 'Date': return keep(v, new Date(Date.prototype.getTime.call(v)));
      case 'RegExp': return keep(v, new RegExp(v.source, v.flags));
      case 'Boolean': case 'Number': case 'String': case 'BigInt': return keep(v, Object(v.valueOf()));
      case 'Error': return error(v);
      case 'ArrayBuffer': return keep(v, ArrayBuffer.prototype.slice.call(v, 0));
      case 'DataView': return view(v, DataView);
      case 'Map': {
        const c = keep(v, new Map()), items = [];
        Map.prototype.forEach.call(v, (x, k) => items.push([k, x]));
        for (const [k, x] of items) c.set(clone(k), clone(x));
        return c;
      }
      case 'Set': {
        const c = keep(v, new Set()), items = [];
        Set.prototype.forEach.call(v, (x) => items.push(x));
        for (const x of items) c.add(clone(x));
        return c;
      }
      }
      if (typeof type === 'function' && v instanceof TypedArray) return view(v, type);
      return refuse(`${Object.prototype.toString.call(v)} could not be cloned`);
    };
    const result = clone(root);
    for (const b of transfer) detach(b);
    return result;
  };
}