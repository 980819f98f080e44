# SPDX-License-Identifier: Apache-2.0
"""What the cases of k6/websockets share: a prelude for their scripts, both profiles, expectations in the words of the
case table."""
from case import check, equal

PRELUDE = r'''import * as all from 'k6/websockets';
import { WebSocket, Blob, Event, MessageEvent, CloseEvent, EventTarget, DOMException, AbortController, AbortSignal }
  from 'k6/websockets';
import { sleep, group, check } from 'k6';
const ev = (...a) => console.log('EV ' + JSON.stringify(a));
const bytes = (b) => Array.from(new Uint8Array(b));
function caught(f) {
  try { f(); return null; } catch (e) {
    return { name: e.name, code: e.code, error: e instanceof Error, type: e instanceof TypeError,
             dom: e instanceof DOMException, message: String(e.message), text: String(e) };
  }
}
function note(ws, tag) {
  const name = (n) => tag ? tag + '.' + n : n;
  ws.addEventListener('open', () => ev(name('open')));
  ws.addEventListener('error', (e) => ev(name('error'), e.error, ws.readyState));
  ws.addEventListener('close', (e) => ev(name('close'), e.code, e.reason, e.wasClean, ws.readyState));
  return ws;
}
'''

PROFILES = ((), ('--profile', 'standard'))


def sends(*wire):
    """A behaviour: upgrades with the bytes in the same write, then answers pings and Close."""
    def behave(conn):
        conn.accept(tail=b''.join(wire))
        conn.drain()
    return behave


def run(t, body, *flags, **kw):
    """Runs a script whose default function has `body` (async code is allowed)."""
    return t.run(PRELUDE + 'export default async function () {\n' + body + '\n}', *flags, prelude=False, **kw)


def script(t, text, *flags, **kw):
    return t.run(PRELUDE + text, *flags, prelude=False, **kw)


def both(t, body, **kw):
    """The runs in the default and in the standard profile."""
    return [run(t, body, *flags, **kw) for flags in PROFILES]


def dom_error(err, name, code, *parts):
    check(err is not None, 'nothing was thrown')
    equal((err['name'], err['code'], err['error'], err['dom']), (name, code, True, True), 'the exception %r' % err)
    for part in parts:
        check(part in err['message'], '%r is not in %r', part, err['message'])


def syntax_error(err, *parts):
    dom_error(err, 'SyntaxError', 12, *parts)


def state_error(err):
    dom_error(err, 'InvalidStateError', 11)
    check(err['message'].startswith('InvalidStateError'), 'message %r', err['message'])
