# SPDX-License-Identifier: Apache-2.0
"""k6/secrets and what it keeps out of the log (MOD-80, ENG-227)."""
import http.server
import json
import signal
import threading
import time
import types
import urllib.parse

from case import check, equal, go_error, read

SECRETS = "import secrets from 'k6/secrets';\n"
REDACTED = '***SECRET_REDACTED***'
REJECTED = '''
async function rejected(f) {
  try { await f(); return null; } catch (e) {
    return { name: e.name, error: e instanceof Error, type: e instanceof TypeError, message: String(e.message), text: String(e) };
  }
}
'''


def test_MD_30_file(t):
    t.write('file.secret', 'cool=some\n\r\nempty=\ntwice=old0\ntwice=new0\r\nequation=a=b\nlast=xyzzy')
    run = t.run(SECRETS + REJECTED + '''
export default async function () {
  const cool = await secrets.get('cool');
  ev('is', cool === 'so' + 'me', (await secrets.get('equation')) === ['a', 'b'].join('='), await secrets.get('empty'));
  ev('twice', (await secrets.get('twice')).length, (await secrets.get('last')).length);
  console.log('plain', cool, { cool }, `in${cool}words`);
  console.error(new Error(cool).message);
  ev('unknown', await rejected(() => secrets.get('nope')));
  throw new Error('it is ' + cool);
}''', '--secret-source', 'file=file.secret')
    equal(run.ev('is'), [['is', True, True, '']])
    equal(run.ev('twice'), [['twice', 4, 5]])
    go_error(run.one('unknown'))
    check('nope' in run.one('unknown')['message'], 'the message names no key')
    line = run.logged(text='plain')[0].msg
    equal(line, 'plain %s { cool: "%s" } in%swords' % (REDACTED, REDACTED, REDACTED))
    check('some' not in run.stderr, 'the secret is in the log:\n%s', run.stderr)
    check(run.logged('error', 'it is ' + REDACTED), 'no exception in the log')


def test_MD_30_before_it_was_read(t):
    """Only what the script has asked for is hidden, from then on."""
    run = t.run(SECRETS + '''
export default async function () {
  console.log('before plover');
  await secrets.get('word');
  console.log('after plover');
}''', '--secret-source', 'mock=word=plover,other=plugh')
    check(run.logged(text='before plover') and run.logged(text='after ' + REDACTED), 'wrong log:\n%s', run.stderr)


def test_MD_30_overlapping(t):
    run = t.run(SECRETS + '''
export default async function () {
  await secrets.get('short'); await secrets.get('long'); await secrets.get('short');
  console.log('<abcdef> <abc> <ab> <abcabcdefabc>');
}''', '--secret-source', 'mock=short=abc,long=abcdef')
    check(run.logged(text='<%s> <%s> <ab> <%s%s%s>' % ((REDACTED,) * 5)), 'wrong log:\n%s', run.stderr)


def test_MD_30_log_formats(t):
    script = SECRETS + '''
export default async function () { const s = await secrets.get('s'); console.log(`say ${s}!`); }'''
    source = ('--secret-source', 'mock=s=quo"te\\n')
    run = t.run(script, '--log-format', 'json', *source)
    lines = [json.loads(line) for line in run.stderr.splitlines() if 'say' in line]
    equal([line['msg'] for line in lines], ['say %s!' % REDACTED])
    run = t.run(script, '--log-format', 'raw', *source)
    check('say %s!' % REDACTED in run.stderr.splitlines(), 'raw log: %s', run.stderr)
    t.run(script, '--console-output', t.path('console.txt'), *source)
    check('say %s!' % REDACTED in read(t.path('console.txt')), 'console output')


def test_MOD_80_named_sources(t):
    t.write('b,c.txt', 'k=fromfile\n')
    script = SECRETS + REJECTED + '''
import { get, source } from 'k6/secrets';
export default async function () {
  ev('default', (await secrets.get('k')).split(''), (await get('k')).length);
  ev('named', (await secrets.source('other').get('k')).split(''), (await source('first').get('k')).length);
  ev('missing', caught(() => secrets.source('nope')), await rejected(() => secrets.source('other').get('z')));
}'''
    run = t.run(script, '--secret-source', 'mock=name=first,default,k=v1', '--secret-source',
                'file=name=other,filename=b,c.txt')
    equal(run.ev('default'), [['default', ['v', '1'], 2]])
    equal(run.ev('named'), [['named', list('fromfile'), 2]])
    for err in run.ev('missing')[0][1:]:
        go_error(err)
    run = t.run(SECRETS + REJECTED + '''
export default async function () { ev('none', await rejected(() => secrets.get('k')));
  ev('found', (await secrets.source('a').get('k')).length); }''',
                '--secret-source', 'mock=name=a,k=vv', '--secret-source', 'mock=name=b,k=ww')
    go_error(run.one('none'))
    equal(run.one('found'), 2)


def test_MOD_80_no_source(t):
    run = t.run(SECRETS + REJECTED + '''
export default async function () { ev('get', await rejected(() => secrets.get('k'))); ev('source', caught(() => secrets.source('k'))); }''')
    go_error(run.one('get'))
    go_error(run.one('source'))


def test_MOD_80_environment_and_init(t):
    run = t.run(SECRETS + '''
const early = await secrets.get('k');
export function setup() { return early.length; }
export default async function (data) { ev('got', data, early.length, (await secrets.get('k')) === early); }''',
                env={'K6_SECRET_SOURCE': 'mock=k=quartz'})
    equal(run.ev('got'), [['got', 6, 6, True]])


def test_MOD_80_bad_sources(t):
    t.write('bad.secret', 'fine=1\nhunter2\n')
    for source, words in (('file=nothere.secret', 'nothere.secret'), ('file=bad.secret', 'line 2'), ('vault=x', 'vault'),
                          ('mock=a', 'name=value'), ('file=', 'needs a path')):
        run = t.run('export default function () {}', '--secret-source', source, code=None)
        check(run.code != 0 and words in run.stderr and 'hunter2' not in run.stderr, '%s: %d %s', source, run.code,
              run.stderr)
    run = t.run('export default function () {}', '--secret-source', 'mock=a=1', '--secret-source', 'mock=b=1', code=None)
    check(run.code != 0 and 'two sources' in run.stderr, 'two of one name: %s', run.stderr)


def test_MOD_80_not_in_archive(t):
    t.write('file.secret', 'cool=xylophone\n')
    t.write('s.js', SECRETS + "export default async function () { console.log((await secrets.get('cool')).length); }")
    t.start_args('archive', '--secret-source', 'file=file.secret', 's.js').wait()
    with open(t.path('archive.tar'), 'rb') as f:
        check(b'xylophone' not in f.read(), 'the archive holds the secret')
    run = t.start_args('run', '--secret-source', 'file=file.secret', 'archive.tar').wait()
    check(run.logged('info', '9'), 'the archive did not find its secret: %s', run.stderr)


class Vault(http.server.BaseHTTPRequestHandler):
    """/v1/NAME: the secrets; 503 until `failures` are used up."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.asked.append((self.command, self.path, self.headers.get('X-Token')))
        name = urllib.parse.unquote(self.path.rsplit('/', 1)[1])
        body, status = self.server.secrets.get(name), 200
        if self.server.failures:
            self.server.failures -= 1
            status = 503
        elif body is None:
            body, status = 'no such secret', 404
        self.send_response(status)
        self.send_header('Content-Length', str(len(body or '')))
        self.end_headers()
        self.wfile.write((body or '').encode())

    do_POST = do_GET

    def log_message(self, *args):
        pass


def vault(t, **secrets):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Vault)
    server.secrets, server.asked, server.failures = secrets, [], 0
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    t.kept.append(types.SimpleNamespace(close=lambda: (server.shutdown(), server.server_close())))
    server.url = 'http://127.0.0.1:%d/v1/{key}' % server.server_port
    return server


def test_MOD_80_url(t):
    """Asked once a run, whoever asks; hidden from the log; names are encoded; headers from items and the environment."""
    server = vault(t, **{'cool': 'some', 'a b/c': 'odd'})
    run = t.run(SECRETS + REJECTED + '''
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 3, iterations: 3 } } };
const early = await secrets.get('cool');
export default async function () {
  const cool = await secrets.get('cool');
  ev('is', cool === 'so' + 'me' && early === cool, (await secrets.get('a b/c')) === 'o' + 'dd');
  console.log('plain ' + cool);
}
export async function teardown() { ev('unknown', await rejected(() => secrets.get('nope'))); }''', '--secret-source',
                'url=urlTemplate=%s,headers.X-Token=t0' % server.url)
    equal(run.ev('is'), [['is', True, True]] * 9)
    go_error(run.one('unknown'))
    check('404' in run.one('unknown')['message'] and 'no such secret' not in run.stderr, '%r', run.one('unknown'))
    equal(len(run.logged(text='plain ' + REDACTED)), 9)
    equal(server.asked[0], ('GET', '/v1/cool', 't0'))
    paths = [path for _, path, _ in server.asked]
    equal((paths.count('/v1/cool'), paths.count('/v1/nope')), (1, 1))
    check(1 <= paths.count('/v1/a%20b%2Fc') <= 3, 'asked: %r', paths)
    equal(run.of('http_reqs'), [])


def test_MOD_80_url_settings(t):
    server = vault(t, k='{"data":{"value":"quartz","n":7,"list":[]}}')
    script = SECRETS + REJECTED + '''
export default async function () {
  ev('got', await secrets.get('k').then((v) => v.length, (e) => e.message)); }'''
    env = {'K6_SECRET_SOURCE_URL_URL_TEMPLATE': server.url, 'K6_SECRET_SOURCE_URL_HEADER_X_TOKEN': 'e0',
           'K6_SECRET_SOURCE_URL_METHOD': 'POST', 'K6_SECRET_SOURCE_URL_RESPONSE_PATH': 'data.value'}
    equal(t.run(script, '--secret-source', 'url', env=env).one('got'), 6)
    equal(server.asked, [('POST', '/v1/k', 'e0')])
    for path, want in (('data.n', 1), ('data.list', 'list'), ('none', 'none')):
        got = t.run(script, '--secret-source', 'url=responsePath=' + path, env=env).one('got')
        check(got == want if path == 'data.n' else want in got, '%s: %r', path, got)
    server.secrets['k'] = 'not JSON: quartz'
    run = t.run(script, '--secret-source', 'url', env=env)
    check('no JSON' in run.one('got') and 'quartz' not in run.stderr, '%r', run.one('got'))


def test_MOD_80_url_tries_again(t):
    server = vault(t, k='value')
    script = SECRETS + "export default async function () { ev('got', await secrets.get('k').then((v) => v.length, (e) => e.message)); }"
    source = 'url=urlTemplate=%s,retryBackoff=10ms,maxRetries=%%d' % server.url
    server.failures = 2
    equal(t.run(script, '--secret-source', source % 2).one('got'), 5)
    equal(len(server.asked), 3)
    server.failures = 2
    check('503' in t.run(script, '--secret-source', source % 1).one('got'), 'not 503')
    closed = 'url=urlTemplate=http://127.0.0.1:%d/{key},maxRetries=0' % t.closed_port()
    check('refused' in t.run(script, '--secret-source', closed).one('got'), 'not refused')


def test_MOD_80_url_ends_with_the_run(t):
    server = vault(t, k='value')
    server.failures = 1000
    process = t.start(SECRETS + "export default async function () { await secrets.get('k'); }", '--secret-source',
                      'url=urlTemplate=%s,retryBackoff=30s' % server.url)
    deadline = time.monotonic() + 10
    while not server.asked and time.monotonic() < deadline:
        time.sleep(0.02)
    process.signal(signal.SIGINT)
    run = process.wait(code=105)
    check(run.seconds < 12, '%g s', run.seconds)


def test_MOD_80_url_refusals(t):
    for source, words in (('url', 'urlTemplate'), ('url=urlTemplate=http://x/', '{key}'), ('url=urlTemplate={key}', 'address'),
                          ('url=urlTemplate=http://x/{key},speed=1', "'speed'"), ('url=urlTemplate=http://x/{key},timeout=soon', 'soon'),
                          ('url=urlTemplate=http://x/{key},maxRetries=-1', '-1'), ('url=nonsense', 'setting=value'),
                          ('url=urlTemplate=http://x/{key},headers.A B=1', 'header')):
        run = t.run('export default function () {}', '--secret-source', source, code=None)
        check(run.code != 0 and words in run.stderr, '%s: %d %s', source, run.code, run.stderr)
