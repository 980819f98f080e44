# SPDX-License-Identifier: Apache-2.0
"""Modules from https:// and their cache (ENG-12, ENG-13, MOD-90). The server's certificate is its own root."""
import http.server
import os
import signal
import threading
import time

from case import check, equal
from project import complains, run, said
from servers import tls


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        status, text, headers = self.server.pages(self.path)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


class Site(http.server.ThreadingHTTPServer):
    """Pages by path, without the mark; a page is a text, or (status, text, headers)."""

    def __init__(self, t, **pages):
        super().__init__(('127.0.0.1', 0), Handler)
        self.texts, self.asked = pages, []
        self.socket = tls.server_context(t.folder).wrap_socket(self.socket, server_side=True)
        self.url = 'https://localhost:%d' % self.server_port
        threading.Thread(target=self.serve_forever, daemon=True).start()
        t.proxies.append(self)    # stopped with the case

    def pages(self, path):
        path = path.partition('?')[0]
        page = self.texts.get(path.strip('/').replace('/', '__').replace('.js', ''), (404, 'none', {}))
        return page if isinstance(page, tuple) else (200, page, {})

    def stop(self):
        self.shutdown()
        self.server_close()


TRUST = '--insecure-skip-tls-verify'


def script(site, path='/lib/index.js'):
    return {'main.js': "import { hello } from '%s%s';\nexport default () => console.log(hello);" % (site.url, path)}


def test_ENG_13_a_remote_module_and_its_relative_imports(t):
    site = Site(t, lib__index="export { hello } from './sub/a.js';", lib__sub__a="import { b } from '../b.js?v=1/2';\n"
                "import '/top.js'; import 'k6'; export const hello = 'hello ' + b;", lib__b="export const b = 'b';",
                top='exports.commonjs = 1;')
    done = run(t, 'main.js', script(site), TRUST, '--vus', '2', '--iterations', '2')
    equal(said(done), ['hello b'] * 2)
    equal(site.asked, ['/lib/index.js?_k6=1', '/lib/sub/a.js?_k6=1', '/lib/b.js?v=1/2&_k6=1', '/top.js?_k6=1'])


def test_ENG_13_once_more_without_the_mark(t):
    site = Site(t, lib__index='x')
    site.pages = lambda path: (200, 'export const hello = 1;', {}) if '_k6' not in path else (500, 'no', {})
    equal(said(run(t, 'main.js', script(site), TRUST)), ['1'])
    equal(site.asked, ['/lib/index.js?_k6=1', '/lib/index.js'])


def test_ENG_13_status_and_certificate(t):
    site = Site(t)
    complains(run(t, 'main.js', script(site), TRUST, code=107), '/lib/index.js', '404')
    site.texts['lib__index'] = 'export const hello = 1;'
    complains(run(t, 'main.js', script(site), code=107), '/lib/index.js', 'certificate')


def test_ENG_13_redirects(t):
    site = Site(t, real='export const hello = "there";', lib__index=(302, '', {'Location': '/real.js'}),
                loop=(302, '', {'Location': '/loop.js'}), plain=(302, '', {'Location': 'http://localhost:1/x.js'}))
    equal(said(run(t, 'main.js', script(site), TRUST)), ['there'])
    complains(run(t, 'main.js', script(site, '/loop.js'), TRUST, code=107), 'redirects')
    complains(run(t, 'main.js', script(site, '/plain.js'), TRUST, code=107), 'not https')


def test_ENG_12_a_remote_module_may_not_load_files(t):
    site = Site(t, lib__index="import 'file:///etc/hostname.js'; export const hello = 1;")
    complains(run(t, 'main.js', script(site), TRUST, code=107), 'may not load local files')
    site.texts['lib__index'] = "require('file:///etc/hostname.js'); exports.hello = 1;"
    complains(run(t, 'main.js', script(site), TRUST, code=107), 'may not load local files')
    complains(run(t, 'main.js', {'main.js': "import 'http://localhost/x.js';"}, code=107), 'https://')


def test_ENG_13_required_remote_modules_and_typescript(t):
    site = Site(t, lib__typed='x')
    site.pages = lambda path: (200, 'export const hello: string = "typed";', {})
    done = run(t, 'main.js', {'main.js': "const { hello } = require('%s/lib/typed.ts');\n"
                                         "exports.default = () => console.log(hello);" % site.url}, TRUST)
    equal(said(done), ['typed'])


def test_MOD_90_the_cache_serves_when_the_network_does_not(t):
    site = Site(t, lib__index="export { hello } from './b.js';", lib__b="export const hello = 'kept';")
    cache = {'XDG_CACHE_HOME': t.path('cache')}
    done = run(t, 'main.js', script(site), TRUST, env=cache)
    check(not done.logged('warning'), 'a warning without a reason')
    site.texts['lib__b'] = "export const hello = 'newer';"
    equal(said(run(t, 'main.js', script(site), TRUST, env=cache)), ['newer'])
    site.texts['lib__b'] = (503, 'busy', {})    # an answer, if a bad one: not a missing network
    complains(run(t, 'main.js', script(site), TRUST, env=cache, code=107), '503')
    site.stop()
    t.proxies.remove(site)
    done = run(t, 'main.js', script(site), TRUST, env=cache)
    equal(said(done), ['newer'])
    equal(len(done.logged('warning', 'import cache')), 1)
    complains(run(t, 'main.js', script(site), TRUST, env={'SQUALL_IMPORT_CACHE': t.path('other')}, code=107),
              'no copy of it in the import cache')
    folder = t.path('cache/squall/modules')
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'ab') as f:
            f.write(b'// changed')
    complains(run(t, 'main.js', script(site), TRUST, env=cache, code=107), 'damaged')


def test_MOD_90_fetched_once_whatever_the_users(t):
    """One request for a module that 40 VUs, setup, teardown and the summary run; none when the cache has to serve."""
    site = Site(t, lib__index="export { hello } from './b.js';", lib__b="export const hello = 'once';")
    cache = {'SQUALL_IMPORT_CACHE': t.path('cache')}
    files = {'main.js': """import { hello } from '%s/lib/index.js';
export const setup = () => hello, teardown = () => hello, handleSummary = () => ({});
export const options = { scenarios: { s: { executor: 'per-vu-iterations', vus: 40 } } };
export default () => console.log(hello);""" % site.url}
    equal(said(run(t, 'main.js', files, TRUST, env=cache)), ['once'] * 40)
    equal(site.asked, ['/lib/index.js?_k6=1', '/lib/b.js?_k6=1'])
    site.stop()
    t.proxies.remove(site)
    equal(said(run(t, 'main.js', files, TRUST, env=cache)), ['once'] * 40)
    equal(len(site.asked), 2)


def test_ENG_261_archives_hold_remote_modules(t):
    site = Site(t, lib__index="export { hello } from './b.js';", lib__b="export const hello = 'packed';")
    run(t, 'main.js', script(site), TRUST)
    t.start_args('archive', TRUST, '-O', t.path('a.tar'), t.path('main.js'), env={'SQUALL_IMPORT_CACHE': ''}).wait()
    site.stop()
    t.proxies.remove(site)
    equal(said(run(t, 'a.tar', {}, env={'SQUALL_IMPORT_CACHE': ''})), ['packed'])


def test_ENG_13_an_interruption_ends_the_waiting(t):
    site, free = Site(t, lib__index='x'), threading.Event()
    site.pages = lambda path: free.wait(20) and None or (200, '', {})
    t.write('main.js', script(site)['main.js'])
    going, started = t.start_args('run', TRUST, t.path('main.js')), time.monotonic()
    while not site.asked and time.monotonic() - started < 10:
        time.sleep(0.02)
    check(site.asked, 'nothing was asked')
    going.signal(signal.SIGINT)
    complains(going.wait(code=107), 'interrupted')
    free.set()
    check(time.monotonic() - started < 10, 'it took %g s', time.monotonic() - started)
