# SPDX-License-Identifier: Apache-2.0
"""k6/websockets: URL and URLSearchParams."""
from case import equal
from kit import script


def test_url(t):
    r = script(t, '''
import { URL, URLSearchParams } from 'k6/websockets';
export default function () {
  const u = new URL('../x?a=1#f', 'WS://us%20er:pw@Host:80/a/b/c');
  ev('parts', u.href, u.origin, u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search,
     u.hash, String(u), JSON.stringify(u), Object.prototype.toString.call(u));
  u.searchParams.append('b c', '\\u00e9&');
  ev('search', u.search, u.href.includes('b+c=%C3%A9%26'), u.searchParams.get('b c'));
  u.search = '?q=2'; ev('linked', u.searchParams.get('q'), u.searchParams.has('a'));
  u.port = '81'; u.hostname = 'OTHER'; u.pathname = 'p q'; u.hash = 'h'; u.username = 'x@'; u.password = '';
  u.protocol = 'wss';
  ev('set', u.href);
  u.host = 'z:443'; u.search = ''; u.hash = ''; ev('host', u.href);
  u.protocol = 'mailto'; u.port = '99999'; ev('kept', u.protocol, u.port);
  u.href = 'http://h/?k=v'; ev('href', u.host, u.searchParams.get('k'));
  ev('bad', caught(() => new URL('/x')).type, caught(() => { u.href = 'x'; }).type, URL.canParse('x'),
     URL.canParse('x', 'ws://h'), URL.parse('x'), caught(() => new URL()).type, caught(() => URL('ws://h')).type);
  const p = new URLSearchParams('?a=1&a=2&b=%zz&c+d=e+f&=&g');
  ev('params', [...p], p.size, p.getAll('a'), p.has('a', '2'), p.get('none'), p.toString());
  p.delete('a', '1'); p.set('b', 'x'); p.append('A', 'y'); p.sort();
  ev('changed', String(p), [...p.keys()], [...p.values()]);
  const seen = [];
  new URLSearchParams({ x: 1, y: 'z' }).forEach((v, k) => seen.push(k + v));
  ev('made', seen, String(new URLSearchParams([['a', 'b']])), String(new URLSearchParams(p)) === String(p),
     caught(() => new URLSearchParams([['a']])).type, String(new URLSearchParams("~!'()*-._ ")));
}''')
    equal(r.ev('parts')[0][1:], ['ws://us%20er:pw@host/a/x?a=1#f', 'ws://host', 'ws:', 'us%20er', 'pw', 'host', 'host',
                                 '', '/a/x', '?a=1', '#f', 'ws://us%20er:pw@host/a/x?a=1#f',
                                 '"ws://us%20er:pw@host/a/x?a=1#f"', '[object URL]'])
    equal(r.ev('search')[0][1:], ['?a=1&b+c=%C3%A9%26', True, '\u00e9&'])
    equal(r.ev('linked')[0][1:], ['2', False])
    equal(r.one('set'), 'wss://x%40@other:81/p%20q?q=2#h')
    equal(r.one('host'), 'wss://x%40@z/p%20q')
    equal(r.ev('kept')[0][1:], ['wss:', ''])
    equal(r.ev('href')[0][1:], ['h', 'v'])
    equal(r.ev('bad')[0][1:], [True, True, False, True, None, True, True])
    equal(r.ev('params')[0][1:], [[['a', '1'], ['a', '2'], ['b', '%zz'], ['c d', 'e f'], ['', ''], ['g', '']], 6,
                                  ['1', '2'], True, None, 'a=1&a=2&b=%25zz&c+d=e+f&=&g='])
    equal(r.ev('changed')[0][1:], ['=&A=y&a=2&b=x&c+d=e+f&g=', ['', 'A', 'a', 'b', 'c d', 'g'],
                                   ['', 'y', '2', 'x', 'e f', '']])
    equal(r.ev('made')[0][1:], [['x1', 'yz'], 'a=b', True, True, '%7E%21%27%28%29*-._+='])
