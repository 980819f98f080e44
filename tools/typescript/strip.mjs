// SPDX-License-Identifier: Apache-2.0
// stripTypes(text, name): the JavaScript of a TypeScript file, line by line.
import { transform } from 'sucrase';
import { rewriteNamespaces } from './namespaces.mjs';

// "Error transforming NAME: what (line:column)" becomes "what\n\tat NAME:line:column" and the line.
function explain(error, text, name) {
  const parts = /^(?:Error transforming .*?: )?([^]*?) \((\d+):(\d+)\)$/.exec(error.message);
  if (!parts) return `${error.message}\n\tat ${name}`;
  const [, what, line, column] = parts;
  const source = text.split(/\r?\n/)[line - 1] || '';
  return `${what}\n\tat ${name}:${line}:${column}\n\t${source.slice(0, 200)}\n\t${' '.repeat(column - 1)}^`;
}

globalThis.stripTypes = (text, name) => {
  try {
    return transform(rewriteNamespaces(text), { transforms: ['typescript'], disableESTransforms: true }).code;
  } catch (error) {
    throw new SyntaxError(explain(error, text, name));
  }
};
