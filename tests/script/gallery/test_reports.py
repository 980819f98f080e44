# SPDX-License-Identifier: Apache-2.0
"""report-html-junit.js: what it writes can be read by those it is for, and holds the run's numbers."""
import html.parser
import json
import xml.etree.ElementTree

from case import check, equal, read
from gallery import Server, excerpt, run, shape


class Tables(html.parser.HTMLParser):
    """The rows of all tables as lists of texts."""
    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.scripts = [], [], 0
        self.feed(text)
        self.close()
        equal(self.open, [], 'tags that were not closed')

    def handle_starttag(self, tag, attrs):
        if tag in ('tr', 'table', 'td', 'th', 'body', 'html', 'head', 'h1', 'h2', 'p', 'title', 'style'):
            self.open.append(tag)
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        self.scripts += tag == 'script'

    def handle_endtag(self, tag):
        check(self.open and self.open[-1] == tag, '</%s> closes %r', tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] in ('td', 'th'):
            self.rows[-1][-1] += data


def reports(t, server, out, **kw):
    got = run(t, server, 'report-html-junit.js', OUT=t.path(out), VUS=2, VISITS=5, **kw)
    rows = Tables(read(t.path(out + '.html'))).rows
    return got, xml.etree.ElementTree.parse(t.path(out + '.xml')).getroot(), rows, json.loads(read(t.path(out + '.json')))


def test_report_html_junit(t):
    server = Server(t, 'rpc')
    got, junit, rows, data = reports(t, server, 'good')
    counts = server.counts()
    calls = sum(counts['calls'].values())
    equal(calls, 30)
    equal([(s.get('name'), s.get('tests'), s.get('failures')) for s in junit], [
        ('shop thresholds', '4', '0'), ('shop checks', '3', '0')])
    equal({c.get('name'): c.get('classname') for c in junit[1]}, {
        'tea & "cakes" <fresh> are found': 'shop.checks.look around', 'there is a price': 'shop.checks.buy',
        'the order is taken': 'shop.checks.buy'})
    equal([c.find('system-out').text for c in junit[1]], ['passed 10 times'] * 3)
    table = {row[0]: row for row in rows}
    equal(table['look around › tea & "cakes" <fresh> are found'][1:], ['10', '0', 'passed'])
    equal(table['ws_sessions'][2].split(' · ')[0], 'count %d' % counts['accepted'])
    equal(table['rpc_failed'][2], 'rate 0.00 % · passes 0 · fails 30')
    equal(data['metrics']['ws_sessions']['values']['count'], counts['accepted'])
    equal(got.count('ws_sessions'), counts['accepted'])
    written = {shape(line) for line in read(t.path('good.xml')).split('\n')}
    for line in excerpt('report-html-junit.js'):
        check(shape(line) in written, "docs/examples.md shows '%s', which is not in the XML", line)


def test_report_html_junit_of_a_failure(t):
    """A check and a threshold fail: all three reports say so, and by how much."""
    server = Server(t, 'rpc', fail_every=5)
    got, junit, rows, data = reports(t, server, 'bad', failing=['checks', 'rpc_failed'])
    equal((server.counts()['failed'], got.count('rpc_failed')), ({'order': 2}, 2))
    failures = {case.get('name'): case.find('failure').get('message') for suite in junit for case in suite
                if case.find('failure') is not None}
    equal(failures.pop('the order is taken'), 'failed 2 times of 10')
    for condition, message in failures.items():
        check(message.startswith(condition + ' does not hold: '), 'message %r', message)
    check({'rate<0.01', 'rate>0.99'} <= set(failures), 'failures: %r', failures)
    equal(sum(int(suite.get('failures')) for suite in junit), len(failures) + 1)
    table = {(row[0], row[1]): row for row in rows}
    equal(table[('rpc_failed', 'rate<0.01')][2], 'failed')
    equal(table[('buy › the order is taken', '8')][2:], ['2', 'failed'])
    equal(data['metrics']['rpc_failed']['thresholds']['rate<0.01']['ok'], False)
