// SPDX-License-Identifier: Apache-2.0
// The stripper drops namespaces as if they were types. Those that hold code become functions here, on the same lines:
//
//     export namespace A.B { export const x = 1; }
//     export var A; (function (A) { let B; (function (B) { Object.defineProperties(B, {x: ...});
//         const x = 1; })(B = A.B || (A.B = {})); })(A || (A = {}));
//
// Members are getters of what the block declares, so they are live, whatever the order. A block does not see what an
// earlier block of the same name exports: there is no telling without types.
import { parse } from 'sucrase/dist/esm/parser/index.js';
import { TokenType as tt } from 'sucrase/dist/esm/parser/tokenizer/types.js';

const opening = new Set([tt.braceL, tt.dollarBraceL, tt.parenL, tt.bracketL]);
const closing = new Set([tt.braceR, tt.parenR, tt.bracketR]);
const declaring = new Set(['const', 'let', 'var', 'function', 'class', 'enum', 'namespace', 'module']);
const ending = new Set([...declaring, 'export', 'import', 'if', 'for', 'while', 'do', 'return', 'switch', 'throw', 'try']);

function fail(text, at, what) {
  const before = text.slice(0, at).split('\n');
  throw new Error(`${what} (${before.length}:${before[before.length - 1].length + 1})`);
}

class Rewriter {
  constructor(text) {
    this.text = text;
    this.tokens = parse(text, false, true, false).tokens;
    this.edits = []; // [start, end, replacement], in the order of the text
  }

  word(i) {
    const token = this.tokens[i];
    return token ? this.text.slice(token.start, token.end) : '';
  }

  // The token that closes what token `i` opens.
  close(i) {
    let depth = 0;
    for (; i < this.tokens.length; i++) {
      if (opening.has(this.tokens[i].type)) depth++;
      else if (closing.has(this.tokens[i].type) && --depth === 0) return i;
    }
    return this.tokens.length - 1;
  }

  // { names, body } if a namespace with a body begins at token i; types and variables of that name do not.
  header(i) {
    if (!this.tokens[i].isType || !/^(namespace|module)$/.test(this.word(i))) return null;
    const names = [];
    for (i++; this.tokens[i].type === tt.name; i += 2) {
      names.push(this.word(i));
      if (this.tokens[i + 1].type !== tt.dot) return this.tokens[i + 1].type === tt.braceL ? { names, body: i + 1 } : null;
    }
    return null;
  }

  // Names that a const, let or var at token i declares.
  variables(i, end) {
    const names = [];
    let depth = 0;
    for (i++; i < end; i++) {
      const { type } = this.tokens[i];
      if (depth === 0 && (names.length === 0 || (this.word(i - 1) === ',' && /^[=:!]$/.test(this.word(i + 1))))) {
        if (type !== tt.name)
          fail(this.text, this.tokens[i].start, 'a namespace cannot export a destructuring pattern here');
        names.push(this.word(i));
      } else if (depth === 0 && (type === tt.semi || ending.has(this.word(i)))) {
        break;
      }
      if (opening.has(type)) depth++;
      else if (closing.has(type)) depth--;
    }
    return names;
  }

  // Names of values that the declaration behind `export` at token i adds; none for types.
  exported(i, end) {
    let at = i + 1;
    while (['async', 'abstract'].includes(this.word(at)) || (this.word(at) === 'const' && this.word(at + 1) === 'enum')) at++;
    const kind = this.word(at);
    if (kind === 'const' || kind === 'let' || kind === 'var') return this.variables(at, end);
    if (kind === 'namespace' || kind === 'module') return this.hasCode(at) ? [this.word(at + 1)] : [];
    if (!declaring.has(kind)) return [];
    return [this.word(this.word(at + 1) === '*' ? at + 2 : at + 1)];
  }

  // False if there are only types in the namespace at token i, which then is one itself.
  hasCode(i) {
    const { body } = this.header(i) || {};
    if (!body) return false;
    const end = this.close(body);
    for (let at = body + 1; at < end; at++) {
      if (this.word(at) === 'export') continue;
      if (this.header(at)) {
        if (this.hasCode(at)) return true;
        at = this.close(this.header(at).body);
      } else if (this.word(at) === 'interface' || this.word(at) === 'declare') {
        while (at < end && this.tokens[at].type !== tt.braceL && this.tokens[at].type !== tt.semi) at++;
        if (this.tokens[at].type === tt.braceL) at = this.close(at);
      } else if (this.word(at) === 'type') {
        while (at < end && this.tokens[at].type !== tt.semi && !(this.word(at + 1) === 'export')) {
          if (this.tokens[at].type === tt.braceL) at = this.close(at);
          at++;
        }
      } else if (this.tokens[at].type !== tt.semi) {
        return true;
      }
    }
    return false;
  }

  // Rewrites the namespace at token i; `from` is where its text begins, `known` holds names in this scope.
  namespace(i, from, known, outer, exportIt) {
    const { names, body } = this.header(i), end = this.close(body);
    const last = names[names.length - 1], members = this.members(body, end);
    let head = '', tail = '';
    names.forEach((name, level) => {
      const declare = level || !known.has(name), keyword = outer || level ? 'let' : exportIt ? 'export var' : 'var';
      const value = level ? `${name} = ${names[level - 1]}.${name} || (${names[level - 1]}.${name} = {})` : `${name} || (${name} = {})`;
      head += `${declare ? `${keyword} ${name}; ` : ''}(function (${name}) {`;
      tail = `})(${value});${tail}`;
    });
    known.add(names[0]);
    if (members.length)
      head += ` Object.defineProperties(${last}, {${members.map((m) => `${m}: {get: () => ${m}, enumerable: true, configurable: true}`).join(', ')}});`;
    this.edits.push([from, this.tokens[body].end, this.lines(from, this.tokens[body].end, head)]);
    this.scope(body + 1, end, last);
    this.edits.push([this.tokens[end].start, this.tokens[end].end, tail]);
    return end;
  }

  // The replacement keeps as many lines as what it replaces.
  lines(from, to, replacement) {
    return replacement + this.text.slice(from, to).replace(/[^\n]/g, '');
  }

  members(body, end) {
    const names = new Set();
    for (let i = body + 1; i < end; i++) {
      if (opening.has(this.tokens[i].type)) i = this.close(i);
      else if (this.word(i) === 'export') this.exported(i, end).forEach((name) => names.add(name));
    }
    return [...names];
  }

  // Statements of a file (outer is null) or of the body of namespace `outer`.
  scope(i, end, outer) {
    const known = new Set();
    for (; i < end; i++) {
      const { type, start } = this.tokens[i], word = this.word(i);
      if (word === 'declare' && (outer || this.tokens[i].isType)) {
        while (i < end && this.tokens[i].type !== tt.braceL && this.tokens[i].type !== tt.semi && !/\n/.test(this.text.slice(this.tokens[i].end, this.tokens[i + 1].start))) i++;
        if (this.tokens[i].type === tt.braceL) i = this.close(i);
      } else if (word === 'export' && this.header(i + 1)) {
        i = this.hasCode(i + 1) ? this.namespace(i + 1, start, known, outer, true) : this.drop(i + 1, start);
      } else if (this.header(i)) {
        i = this.hasCode(i) ? this.namespace(i, start, known, outer, false) : this.drop(i, start);
      } else if (word === 'export' && outer) {
        if (['default', '=', '{', '*'].includes(this.word(i + 1)))
          fail(this.text, start, `a namespace cannot use 'export ${this.word(i + 1)}'`);
        this.edits.push([start, this.tokens[i].end, '']);
      } else if (/^(class|function|enum)$/.test(word) && this.tokens[i + 1]) {
        known.add(this.word(i + 1));
      } else if (opening.has(type)) {
        i = this.close(i);
      }
    }
  }

  // Types alone: nothing is left of them.
  drop(i, from) {
    const end = this.close(this.header(i).body);
    this.edits.push([from, this.tokens[end].end, this.lines(from, this.tokens[end].end, '')]);
    return end;
  }

  run() {
    this.scope(0, this.tokens.length - 1, null);
    let out = '', at = 0;
    for (const [start, end, replacement] of this.edits) {
      out += this.text.slice(at, start) + replacement;
      at = end;
    }
    return out + this.text.slice(at);
  }
}

export function rewriteNamespaces(text) {
  return /\b(namespace|module)\s+[\p{ID_Start}$_]/u.test(text) ? new Rewriter(text).run() : text;
}
