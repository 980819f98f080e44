# SPDX-License-Identifier: Apache-2.0
"""--out csv: MET-60 to MET-62, compared with the json output of the same run."""
import csv
import gzip
import io
import re

from case import check, equal, read
from receivers import SCRIPT

HEADER = ('metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,'
          'scenario,service,status,subproto,tls_version,url,extra_tags,metadata')


def compare(text, run):
    equal(text.split('\n')[0], HEADER)
    rows = list(csv.DictReader(io.StringIO(text)))
    equal(len(rows), len(run.samples), 'rows')
    for row, s in zip(rows, run.samples):
        extra = dict(pair.split('=', 1) for pair in row['extra_tags'].split('&') if pair)
        own = {k: v for k, v in row.items() if k not in ('metric_name', 'timestamp', 'metric_value', 'extra_tags',
                                                         'metadata') and v}
        equal(row['metric_name'], s.metric)
        equal(int(row['timestamp']), int(s.time))
        equal(row['metric_value'], '%.6f' % s.value)
        equal(dict(own, **extra), {k: v for k, v in s.tags.items() if v})


def test_file(t):
    run = t.run(SCRIPT, '--out', 'csv=out.csv', prelude=False, ITERATIONS=150)
    compare(read(t.path('out.csv')), run)


def test_gzip_by_the_environment(t):
    run = t.run(SCRIPT, '--out', 'csv', prelude=False, ITERATIONS=90, env={'K6_CSV_FILENAME': 'x.csv.gz'})
    with gzip.open(t.path('x.csv.gz'), 'rt', encoding='utf-8') as f:
        compare(f.read(), run)


def test_collectors_of_the_config_file(t):
    """MET-41: below the environment and the ARG; whatever has no effect is said."""
    config = t.write('config.json', '''{"collectors": {
        "csv": {"fileName": "file.csv.gz", "saveInterval": "20ms", "timeFormat": "unix_milli", "nonsense": 1},
        "influxdb": {"addr": null}}}''')
    run = t.run(SCRIPT, '--out', 'csv', '-c', config, prelude=False, ITERATIONS=30, env={'K6_CSV_TIME_FORMAT': 'unix'})
    with gzip.open(t.path('file.csv.gz'), 'rt', encoding='utf-8') as f:
        compare(f.read(), run)
    equal(len(run.logged('warning')), 1)
    check('collectors.csv.nonsense of the config file has no effect' in run.stderr, 'log: %s', run.stderr)
    run = t.run(SCRIPT, '--out', 'csv=arg.csv', '-c', config, prelude=False, ITERATIONS=30,
                env={'K6_CSV_TIME_FORMAT': 'unix'})
    compare(read(t.path('arg.csv')), run)
    for text, words in (('{"csv": {"saveInterval": "soon"}}', "collectors.csv.saveInterval: 'soon' is not a duration"),
                        ('{"csv": {"fileName": []}}', 'csv.fileName is neither text, number nor boolean'),
                        ('{"csv": 1}', '1 is not an object of settings'), ('[]', '[] is not an object of outputs')):
        config = t.write('wrong.json', '{"collectors": %s}' % text)
        run = t.run(SCRIPT, '--out', 'csv', '-c', config, prelude=False, ITERATIONS=3, code=None)
        check(run.code != 0 and words in run.stderr, 'said: %s', run.stderr)


def test_default_name_and_stdout(t):
    t.run(SCRIPT, '--out', 'csv', prelude=False, ITERATIONS=60)
    check(read(t.path('file.csv')).startswith(HEADER), 'file.csv')
    run = t.run(SCRIPT, '--out', 'csv=-', prelude=False, ITERATIONS=60)
    check(HEADER in run.stdout and re.search(r'^iterations,\d+,1.000000,', run.stdout, re.M), 'stdout')


def test_columns_follow_the_system_tags(t):
    t.run(SCRIPT, '--out', 'csv=out.csv', '--system-tags', 'url,ip,vu,iter,check', prelude=False, ITERATIONS=30)
    equal(read(t.path('out.csv')).split('\n')[0], 'metric_name,timestamp,metric_value,check,ip,url,extra_tags,metadata')
    check(re.search(r'^checks,\d+,1.000000,is one,,,run=a b,iter=\d+&vu=\d$', read(t.path('out.csv')), re.M), 'a check')


def test_disk_full(t):
    run = t.run(SCRIPT, '--out', 'csv=/dev/full', prelude=False, ITERATIONS=450)
    equal(len(run.logged('error', 'No space left on device')), 1, 'said once')
    check('iterations' in run.stdout, 'no summary')
    check(len(run.of('iterations')) > 100, 'iterations')
