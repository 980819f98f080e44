# SPDX-License-Identifier: Apache-2.0
"""k6/html and Response.html (MOD-75, MOD-76)."""
import http.server
import json
import threading

from case import check, equal, go_error, type_error

HTML = "import { parseHTML } from 'k6/html';\n"
PAGE = '''<!doctype html><html><head><title>T &amp; t</title></head><body>
<form id="login" class="box main" action="/in"><input type="hidden" name="csrf" value="tok&quot;en"><input name="user">
<select name="s"><option value="1">one</option><option selected>two</option></select><textarea name="t">text area</textarea></form>
<ul><li class="a">1</li><li class="b x">2<b>!</b></li><li data-n="5" lang="en-US">3</li><li></li></ul>
<div><div><p>deep <i>er</i></p></div></div><p class="last">end</p><script>var x = "<p>";</script></body></html>'''


def doc(t, body):
    return t.run(HTML + 'const doc = parseHTML(`%s`), f = (s) => doc.find(s), texts = (s) => s.map((i, e) => e.text());\n'
                 'export default function () {\n%s\n}' % (PAGE, body))


def test_MD_29(t):
    run = t.run(HTML + '''
export default function () {
  const links = parseHTML('<a href="/x">L</a><a>M</a>').find('a');
  ev('links', links.size(), links.first().text(), links.eq(1).attr('href') === undefined, links.attr('href'), links.text());
}''')
    equal(run.ev('links'), [['links', 2, 'L', True, '/x', 'LM']])


SELECTED = [
    ('title', 1), ('TITLE', 1), ('*', 25), ('li', 4), ('#login', 1), ('.box', 1), ('.box.main', 1), ('.bo', 0), ('form.box#login', 1),
    ('[name]', 4), ('[name=csrf]', 1), ('[name="csrf"]', 1), ("[name='cs']", 0), ('[class~=x]', 1), ('[lang|=en]', 1),
    ('[name^=cs]', 1), ('[name$=rf]', 1), ('[name*=sr]', 1), ('[name^=""]', 0), ('input[type=hidden][name=csrf]', 1),
    ('ul li', 4), ('ul > li', 4), ('body > li', 0), ('div p', 1), ('div > p', 1), ('div > div > p i', 1), ('body>div>p', 0),
    ('li + li', 3), ('li.a ~ li', 3), ('.b + li', 1), ('li, p', 6), ('li , title,b', 6), ('li:first-child', 1), ('li:last-child', 1),
    ('li:nth-child(2)', 1), ('li:nth-child(odd)', 2), ('li:nth-child(even)', 2), ('li:nth-child(2n+1)', 2), ('li:nth-child( -n + 3 )', 3),
    ('li:nth-child(n)', 4), ('li:nth-child(n+3)', 2), ('b:only-child', 1), ('li:empty', 1), ('li:not(.a)', 3), ('li:not(.a, .b)', 2),
    ('li:has(b)', 1), ('p:contains("deep")', 1), (':first-child', None), ('p.last', 1), ('table', 0), ('ul li:not(:first-child) b', 1),
]


def test_MOD_75_selectors(t):
    import json
    run = doc(t, 'for (const s of %s) ev(s, f(s).size());' % json.dumps([s for s, _ in SELECTED]))
    got = {e[0]: e[1] for e in run.events}
    for selector, count in SELECTED:
        if selector == '*':
            check(got[selector] >= 20, 'too few elements: %r', got[selector])
        elif count is not None:
            equal(got[selector], count, selector)


def test_MOD_75_wrong_selectors(t):
    bad = ['', ' ', 'a,', ',a', 'a >', '> a', '[', '[x', '[x=', '[x=]', '[=a]', 'a[x~y]', ':nope', ':not', ':not(', ':not()', ':nth-child()',
           ':nth-child(x)', ':nth-child(2', ':first-child(1)', '#', '.', 'a..b', 'a)', 'a{', ':not(:not(:not(:not(:not(:not(a))))))', 'a ' * 40, 'a' + '.b' * 40]
    run = doc(t, 'for (const s of %r) ev("no", s, caught(() => f(s)));' % bad)
    equal(len(run.ev('no')), len(bad))
    for _, selector, err in run.ev('no'):
        go_error(err, repr(selector))


def test_MOD_75_walking(t):
    run = doc(t, '''
const li = f('li');
ev('children', f('ul').children().size(), f('ul').children('.a').text(), f('.b').contents().size(), doc.children().size());
ev('parent', f('b').parent().attr('class'), f('b').parent('ul').size(), li.parent().size(), f('html').parent().size());
ev('parents', f('b').parents().size(), f('b').parents('ul').size(), f('i').parentsUntil('body').size());
ev('closest', f('b').closest('li').text(), f('b').closest('b').size(), f('b').closest('table').size());
ev('next', f('.a').next().text(), f('.a').next('.x').size(), f('.a').next('.y').size(), f('.a').nextAll().size(), f('.a').nextAll('[data-n]').text(), f('.a').nextUntil('[data-n]').text());
ev('prev', f('[data-n]').prev().attr('class'), f('[data-n]').prevAll().size(), f('[data-n]').prevUntil('.a').size(), f('.a').prev().size());
ev('places', li.first().text(), li.last().text(), li.eq(1).text(), li.eq(-2).text(), li.eq(9).size(), li.slice(1, 3).size(), li.slice(-1).size(), li.slice(3, 1).size());
ev('filter', li.filter('.a').size(), li.filter((i, e) => i > 1).size(), li.filter(f('.b')).text(), li.not('.a').size(), li.not((i) => i === 0).size(), li.not(f('.a').get(0)).size());
ev('has', li.has('b').size(), li.is('.a'), li.is('.nope'), li.is((i) => i === 3), li.is(f('.b')));
ev('map', li.map((i, e) => i + e.text()), li.toArray().length, li.toArray()[1].text());
const seen = []; const back = li.each((i, e) => { seen.push([i, e.textContent, e.nodeName]); }); ev('each', seen, back.size());
ev('chain', f('ul').find('li').eq(1).find('b').closest('ul').find('.a').text());''')
    want = {'children': [4, '1', 2, 1], 'parent': ['b x', 0, 1, 0], 'parents': [4, 1, 3], 'closest': ['2!', 1, 0],
            'next': ['2!', 1, 0, 3, '3', '2!'], 'prev': ['b x', 2, 1, 0], 'places': ['1', '', '2!', '3', 0, 2, 1, 0],
            'filter': [1, 2, '2!', 3, 3, 3], 'has': [1, True, False, True, True],
            'map': [['01', '12!', '23', '3'], 4, '2!'], 'each': [[[0, '1', 'li'], [1, '2!', 'li'], [2, '3', 'li'], [3, '', 'li']], 4],
            'chain': ['1']}
    for name, values in want.items():
        equal(run.ev(name), [[name] + values])


def test_MOD_75_content(t):
    run = doc(t, '''
ev('attr', f('[name=csrf]').attr('value'), f('[name=csrf]').attr('VALUE'), f('form').attr('nope', 'def'), f('table').attr('x') === undefined);
ev('text', f('title').text(), f('p').text(), f('script').text());
ev('html', f('.b').html(), f('table').html() === undefined, f('table').html('none'), f('title').html());
ev('val', f('[name=csrf]').val(), f('select').val(), f('textarea').val(), f('[name=user]').val() === undefined, f('option').val(), f('table').val('d'));
const e = f('form').get(0); ev('element', e.id, e.className, e.nodeName, e.getAttribute('action'), e.getAttribute('x') === undefined, String(e), e.href);
ev('get', f('li').get(9) === undefined, f('li').get(1).innerHTML, f('li').get(-1).textContent, f('input').get(0).name, f('input').get(0).type, f('input').get(0).value);
ev('wrong', caught(() => f('li').each()), caught(() => f('li').map('x')), caught(() => f('li').find.call({}, 'a')), caught(() => e.getAttribute.call(doc, 'x')), caught(() => f('li').is()));
ev('own', caught(() => f('li').each(() => { throw new RangeError('mine'); })), caught(() => f('li').filter(() => { throw new RangeError('mine'); })));''')
    equal(run.ev('attr')[0][1:], ['tok"en', 'tok"en', 'def', True])
    equal(run.ev('text')[0][1:], ['T & t', 'deep erend', 'var x = "<p>";'])
    equal(run.ev('html')[0][1:], ['2<b>!</b>', True, 'none', 'T &amp; t'])
    equal(run.ev('val')[0][1:], ['tok"en', 'two', 'text area', True, '1', 'd'])
    equal(run.ev('element')[0][1:], ['login', 'box main', 'form', '/in', True, '[object Element]', ''])
    equal(run.ev('get')[0][1:], [True, '2<b>!</b>', '', 'csrf', 'hidden', 'tok"en'])
    for err in run.ev('wrong')[0][1:]:
        type_error(err)
    for err in run.ev('own')[0][1:]:
        equal(err['name'], 'RangeError')


FORM = """<form><fieldset disabled><input name=off value=1></fieldset><input name=a value="1 &amp; 2"><input value=nameless>
<input name=b disabled value=x><input type=SUBMIT name=go value=Go><input type=checkbox name=c checked><input type=checkbox name=d>
<input type=radio name=r value=1><input type=radio name=r value=2 checked><input type=file name=f><textarea name=t>ü
ä</textarea><select name=one><option>first<option value=2>second</select><select name=many multiple><option selected>x<option>y
<option selected value=z>zz</select><select name=none multiple><option>q</select><input name=a value=3></form>"""


def test_MOD_75_forms(t):
    run = t.run(HTML + """
export default function () {
  const form = parseHTML(%s).find('form');
  ev('array', form.serializeArray().map((f) => f.name + '=' + f.value));
  ev('object', form.serializeObject());
  ev('text', form.serialize());
  ev('parts', form.find('input[type=radio]').serialize(), form.find('textarea').serializeArray().length, form.find('p').serialize());
  const d = parseHTML('<p data-a="1" data-foo-bar="x" data-j=\\'{"k":[1]}\\' data-t=true data-n=null data-z=007 data-f=1.5 data-bad="{" data-e="" class=c></p><i></i>');
  const p = d.find('p');
  ev('data', p.data());
  ev('keys', p.data('fooBar'), p.data('foo-bar'), p.data('j').k[0], p.data('none') === undefined, d.find('b').data('a') === undefined,
     JSON.stringify(d.find('i').data()));
}""" % json.dumps(FORM))
    equal(run.one('array'), ['a=1 & 2', 'c=on', 'r=2', 't=ü\nä', 'one=first', 'many=x', 'many=z', 'a=3'])
    equal(run.one('object'), {'a': '3', 'c': 'on', 'r': '2', 't': 'ü\nä', 'one': 'first', 'many': 'z'})
    equal(run.one('text'), 'a=1+%26+2&c=on&r=2&t=%C3%BC%0A%C3%A4&one=first&many=x&many=z&a=3')
    equal(run.ev('parts')[0][1:], ['r=2', 1, ''])
    equal(run.one('data'), {'a': 1, 'fooBar': 'x', 'j': {'k': [1]}, 't': True, 'n': None, 'z': '007', 'f': 1.5, 'bad': '{', 'e': ''})
    equal(run.ev('keys')[0][1:], ['x', 'x', 1, True, True, '{}'])


def test_MOD_75_odd_documents(t):
    run = t.run(HTML + '''
export default function () {
  for (const text of ['', ' ', 'plain', '<', '<a', '</b>', '<!-- x -->', '\\0<p>z</p>', '<p>a<p>b', '<table><p>x', '&#0;&bad;&#x110000;', '<p é="ü">→</p>'])
    ev('size', typeof parseHTML(text).find('p').text());
  ev('utf8', parseHTML('<p title="ü→😀">é→😀</p>').find('p').text(), parseHTML('<p title="ü→😀"></p>').find('p').attr('title'));
  ev('nested', parseHTML('<div>'.repeat(5000)).find('div').size() > 0, parseHTML('<b>x</b>'.repeat(20000)).find('b').size());
  ev('deep', parseHTML('<div>'.repeat(200) + 'x').find('div div div div div div div div div table').size());
  ev('none', parseHTML().find('p').size());
  let doc = parseHTML('<p>kept</p>'), p = doc.find('p').get(0); doc = null; ev('kept', p.textContent);
}''')
    equal(run.values('size'), ['string'] * 12)
    equal(run.ev('utf8')[0][1:], ['é→😀', 'ü→😀'])
    equal(run.ev('nested')[0][1:], [True, 20000])
    equal((run.one('deep'), run.one('none'), run.one('kept')), (0, 0, 'kept'))


def test_MD_29_response(t):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = PAGE.encode()
            self.send_response(200)
            self.send_header('Content-Type', 'text/html')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run = t.run('''
import http from 'k6/http';
export default function () {
  const url = 'http://127.0.0.1:@WEB@/', res = http.get(url), bin = http.get(url, { responseType: 'binary' });
  ev('csrf', res.html().find('input[name=csrf]').attr('value'), res.html('title').text(), bin.html('li').size());
  ev('none', caught(() => http.get(url, { responseType: 'none' }).html()), caught(() => res.clickLink({ selector: 'a.none' })));
}''', WEB=server.server_port)
        server.shutdown()
    equal(run.ev('csrf'), [['csrf', 'tok"en', 'T & t', 4]])
    for err in run.ev('none')[0][1:]:
        go_error(err)
