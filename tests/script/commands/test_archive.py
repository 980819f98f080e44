# SPDX-License-Identifier: Apache-2.0
"""squall archive and running archives (ENG-10, ENG-261)."""
import io
import json
import os
import shutil
import tarfile

from case import check, equal, read

SCRIPT = '''import { twice } from './lib/a.js';
const text = open('./data.txt'), bytes = new Uint8Array(open('./lib/b.bin', 'b'));
export const options = { vus: 5, tags: { from: 'script' }, thresholds: { iterations: ['count<100'] } };
export default function () {
  console.log('EV ' + JSON.stringify(['it', __VU, twice(21), text, Array.from(bytes), __ENV.BAR, __ENV.OS]));
}
'''
LIB = "import { n } from '../other.js';\nexport const twice = (x) => x * n;\n"


def sources(t, folder='src'):
    os.makedirs(t.path(folder + '/lib'))
    t.write(folder + '/s.js', SCRIPT)
    t.write(folder + '/lib/a.js', LIB)
    t.write(folder + '/other.js', 'export const n = 2;\n')
    t.write(folder + '/data.txt', 'words\n')
    with open(t.path(folder + '/lib/b.bin'), 'wb') as f:
        f.write(bytes([0, 255, 10]))


def metadata(path):
    with tarfile.open(path) as tar:
        return json.load(tar.extractfile('metadata.json'))


def test_round_trip(t):
    """EC-70."""
    sources(t)
    t.start_args('archive', '-u', '2', '-i', '3', '-e', 'BAR=1', 'src/s.js', env={'OS': 'no'}).wait()
    with tarfile.open(t.path('archive.tar')) as tar:
        names = tar.getnames()
        base = 'file' + t.folder + '/src/'
        equal(names, ['metadata.json', 'data'] + [base + n for n in (
            'data.txt', 'lib/a.js', 'lib/b.bin', 'other.js', 's.js')])
        equal(tar.extractfile('data').read().decode(), SCRIPT)
        equal(tar.getmember(base + 's.js').linkname, 'data')
        equal(tar.extractfile(base + 'lib/b.bin').read(), bytes([0, 255, 10]))
    meta = metadata(t.path('archive.tar'))
    equal(meta['env'], {'BAR': '1'})
    equal((meta['type'], meta['filename']), ('js', 'file://%s/src/s.js' % t.folder))
    equal(meta['pwd'], 'file://%s/src' % t.folder)
    equal((meta['options']['vus'], meta['options']['iterations']), (2, 3))
    equal(meta['options']['scenarios'], None)
    equal(meta['options']['tags'], {'from': 'script'})

    shutil.rmtree(t.path('src'))
    run = t.start_args('run', 'archive.tar', env={'OS': 'yes'}).wait()
    equal(len(run.ev('it')), 3)
    equal(run.ev('it')[0][2:], [42, 'words\n', [0, 255, 10], '1', 'yes'])
    check('3 iterations shared among 2 VUs' in run.stdout, 'description: %s', run.stdout)
    run = t.start_args('run', '-i', '5', '-e', 'BAR=2', 'archive.tar', env={'K6_VUS': '4'}).wait()
    equal(len(run.ev('it')), 5)
    equal(run.ev('it')[0][5], '2')
    check('5 iterations shared among 4 VUs' in run.stdout, 'description: %s', run.stdout)


def test_the_local_folder_is_not_consulted(t):
    sources(t)
    t.start_args('archive', '-O', 'a.tar', 'src/s.js').wait()
    t.write('src/other.js', 'export const n = 3;\n')
    t.write('src/data.txt', 'changed')
    run = t.start_args('run', '--type', 'archive', 'a.tar').wait()
    equal(run.ev('it')[0][2:4], [42, 'words\n'])


def test_to_standard_output_and_from_standard_input(t):
    sources(t)
    p = t.start_args('archive', '-O', '-', '-e', 'BAR=x', '--exclude-env-vars', 'src/s.js')
    p.wait()
    with open(p.out_path, 'rb') as f:
        content = f.read()
    with open(t.path('stdin'), 'wb') as f:
        f.write(content)
    equal(metadata(t.path('stdin'))['env'], {})
    shutil.rmtree(t.path('src'))
    run = t.start_args('run', '-u', '1', '-i', '1', '-', stdin='stdin').wait()
    equal(len(run.ev('it')), 1)


def test_an_archive_of_an_archive(t):
    sources(t)
    t.start_args('archive', '-O', 'a.tar', '-u', '1', '-i', '2', 'src/s.js').wait()
    t.start_args('archive', '-O', 'b.tar', '-u', '2', 'a.tar').wait()
    shutil.rmtree(t.path('src'))
    os.unlink(t.path('a.tar'))
    equal(len(t.start_args('run', 'b.tar').wait().ev('it')), 2)


def test_inspect_shows_the_options_of_an_archive(t):
    sources(t)
    t.start_args('archive', '-u', '7', '-i', '9', 'src/s.js').wait()
    shown = json.loads(t.start_args('inspect', 'archive.tar').wait().stdout)
    equal((shown['vus'], shown['iterations']), (7, 9))


def test_home_folders_are_anonymous(t):
    """An archive as another tool makes it: the owner of the home folder is nobody."""
    files = {'data': "import { a } from '/home/somebody/lib/a.js'; import { b } from './b.js';\n"
                     "export default function () { console.log('EV ' + JSON.stringify(['it', a, b, 0])); }",
             'file/home/nobody/lib/a.js': 'export const a = 1;', 'file/home/nobody/test/b.js': 'export const b = 2;',
             'metadata.json': json.dumps({
                 'type': 'js', 'filename': 'file:///home/nobody/test/s.js', 'pwd': 'file:///home/nobody/test',
                 'options': {'vus': None, 'iterations': None, 'scenarios': {'x': {
                     'executor': 'per-vu-iterations', 'startTime': None, 'gracefulStop': None, 'env': None,
                     'exec': None, 'tags': None, 'options': None, 'vus': 1, 'iterations': 2, 'maxDuration': None}}},
                 'env': {'A': 'b'}, 'compatibilityMode': 'extended', 'k6version': '2.2.0', 'goos': 'linux'})}
    with tarfile.open(t.path('a.tar'), 'w', format=tarfile.PAX_FORMAT) as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), 1700000000.25  # a fraction makes a pax header
            tar.addfile(info, io.BytesIO(text.encode()))
    run = t.start_args('run', 'a.tar').wait()
    equal([e[1:3] for e in run.ev('it')], [[1, 2], [1, 2]])


def tar_of(t, name, **files):
    with tarfile.open(t.path(name), 'w') as tar:
        for member, text in files.items():
            info = tarfile.TarInfo(member.replace('__', '.'))
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return name


def test_bad_archives(t):
    good = json.dumps({'type': 'js', 'filename': 'file:///s.js', 'options': {}})
    cases = [(tar_of(t, 'none.tar', x='y'), 255, 'not an archive of a test'),
             (tar_of(t, 'json.tar', metadata__json='{', data=''), 255, 'metadata.json'),
             (tar_of(t, 'type.tar', metadata__json='{"type":"go"}', data=''), 255, 'metadata.json'),
             (tar_of(t, 'exports.tar', metadata__json=good, data=''), 255, 'exports no function'),
             (tar_of(t, 'lacks.tar', metadata__json=good, data="import './m.js';"), 107, 'not in the archive'),
             (tar_of(t, 'options.tar', metadata__json=good.replace('{}', '{"vus":"x"}'),
                     data='export default function () {}'), 104, 'vus')]
    with open(t.path('none.tar'), 'rb') as f:
        content = f.read()
    with open(t.path('cut.tar'), 'wb') as f:
        f.write(content[:700])
    cases.append(('cut.tar', 255, 'archive'))
    for name, code, words in cases:
        run = t.start_args('run', name).wait(code=code)
        check(words in run.stderr, '%s: %s', name, run.stderr)
        equal(len(run.log), 1, name + ': lines of the log')
    t.write('s.js', 'export default function () {}')
    check('not an archive' in t.start_args('run', '-t', 'archive', 's.js').wait(code=255).stderr, 'not told')


def test_archive_failures(t):
    t.write('s.js', 'export default function () {}')
    t.write('bad.js', "export const options = { scenarios: { s: { executor: 'constant-vus', duration: '0s' } } };"
                      'export default function () {}')
    for args, code in ((['archive'], 255), (['archive', 'missing.js'], 255), (['archive', 'bad.js'], 104),
                       (['archive', '-O', 'no/such/folder.tar', 's.js'], 255), (['archive', '--nope', 's.js'], 255)):
        run = t.start_args(*args).wait(code=code)
        equal(len(run.log), 1, '%r: %s' % (args, run.stderr))
    if os.path.exists('/dev/full'):
        run = t.start_args('archive', '-O', '/dev/full', 's.js').wait(code=255)
        check('No space left' in run.stderr, 'a full disk is not told: %s', run.stderr)
    check(not os.path.exists(t.path('archive.tar')), 'an archive was written')
    equal(read(t.path('s.js')), 'export default function () {}')
