# SPDX-License-Identifier: Apache-2.0
"""The session that every server and proxy of the interoperability cases must carry."""
import json
import time

from case import check, equal, read

SCRIPT = r'''
export const options = { insecureSkipTLSVerify: @SKIP@ };
export default function () {
  const texts = ['hello', '', '\u00e9\u20ac\u{1f600}'.repeat(1000), 'a'.repeat(100000), 'hello',
                 JSON.stringify({ list: Array.from({ length: 500 }, (_, i) => ({ i, name: 'item ' + i })) })];
  const blob = new Uint8Array(70000).map((_, i) => (i * 31 + (i >> 8)) & 255);
  let n = 0;
  ret(ws.connect('@URL@', @PARAMS@, (s) => {
    s.on('open', () => texts.concat(texts).forEach((m) => s.send(m)));
    s.on('message', (m) => {
      if (n < 2 * texts.length) ev('same', m === texts[n % texts.length]);
      if (++n === 2 * texts.length) s.sendBinary(blob.buffer);
      if (n > 2 * texts.length) { ev('fragments', m); s.ping(); }
    });
    s.on('binaryMessage', (b) => {
      const got = new Uint8Array(b);
      ev('binary', got.length === blob.length && got.every((x, i) => x === blob[i]));
      s.send('fragments please');
    });
    s.on('pong', () => { ev('pong'); s.close(1000); });
    s.on('error', (e) => ev('error', e.error()));
    s.on('close', (c) => ev('close', c));
    s.setTimeout(() => s.close(4999), 12000);
  }));
}'''


def carry(t, url, *flags, params='{}', fragments='one two three', skip_verify=False, env=None, status=101):
    """Runs the session and checks what the script saw."""
    run = t.run(SCRIPT, *flags, URL=url, PARAMS=params, SKIP=str(skip_verify).lower(), env=env)
    r = run.one('ret')
    equal((r['status'], r['error'], r['url']), (status, '', url))
    equal(run.values('same'), [True] * 12)
    equal(run.values('binary'), [True])
    equal(run.values('fragments'), [fragments])
    equal(run.events[-3:-1], [['pong'], ['close', 1000]])
    equal(run.ev('error'), [])
    equal((run.count('ws_msgs_sent'), run.count('ws_msgs_received')), (14, 14))
    equal(len(run.of('ws_ping')), 1)
    return run


TAKEOVER = r'''import { WebSocket } from 'k6/websockets';
const SENTENCE = 'the quick brown fox jumps over the lazy dog, again and again. ';
const noise = new Uint8Array(60000).map((_, i) => (i * i * 31 + (i >> 3)) & 255);
export default function () {
  const sockets = @COMPRESSION@.map((compression) => new WebSocket('@URL@', null, { compression }));
  sockets.forEach((ws, which) => {
    let n = 0;
    ws.binaryType = 'arraybuffer';
    ws.onopen = () => {
      for (let i = 0; i < 20; i++) ws.send(`${i} ${SENTENCE.repeat(30)}`);
      ws.send(noise); ws.send(noise);
      ws.send('big fragments please');
      ws.send('');
    };
    ws.onmessage = (e) => {
      const i = n++;
      if (i < 20) ev('same', e.data === `${i} ${SENTENCE.repeat(30)}`);
      else if (i < 22) { const b = new Uint8Array(e.data); ev('same', b.length === 60000 && b.every((x, k) => x === noise[k])); }
      else if (i === 22) ev('same', e.data === SENTENCE.repeat(1000));
      else { ev('same', e.data === ''); ws.close(1000); }
    };
    ws.onclose = (e) => ev('closed', e.code, e.wasClean);
  });
}'''


def take_over(t, url, compressions, *flags):
    """A connection per set of parameters: repetitive text, noise, a message of 50 fragments and an empty one, each way."""
    run = t.run(TAKEOVER, *flags, URL=url, COMPRESSION=json.dumps(compressions))
    equal(run.values('same'), [True] * (24 * len(compressions)))
    equal([row[1:] for row in run.ev('closed')], [[1000, True]] * len(compressions))
    equal(run.logged('error'), [])
    return run


def windows():
    """Every window size of either side, context kept and not."""
    sizes = [{'serverMaxWindowBits': 9 + i, 'clientMaxWindowBits': 15 - i} for i in range(7)]
    forget = {'serverNoContextTakeover': True, 'clientNoContextTakeover': True}
    return sizes + [dict(sizes[0], **forget), dict(sizes[6], **forget), forget, {'clientMaxWindowBits': True}, {}]


class Helper:
    """A server program that prints JSON lines, first its port."""

    def __init__(self, t, *command):
        self.child = t.spawn(list(command))
        self.port = self.wait('port')
        self.url = 'ws://127.0.0.1:%d/' % self.port

    def said(self, key):
        lines = read(self.child.log_path).split('\n')
        found = [json.loads(line) for line in lines[:-1] if line.startswith('{')]
        return [line[key] for line in found if key in line]

    def wait(self, key, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not self.said(key):
            check(self.child.poll() is None and time.monotonic() < deadline, '%r never said %r:\n%s', self.child.args,
                  key, read(self.child.log_path)[-2000:])
            time.sleep(0.02)
        return self.said(key)[-1]
