"""Tests of ``tools/gpu_check.sh``, on the CPU, and of what its benchmarks share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.modules import ROOT

from benchmarks import _gpu, gpu_check, gpu_report
from benchmarks._measure import Row
from benchmarks.gpu_check import STAGES, Settings, Stage
from benchmarks.models import gpu as models
from benchmarks.ops import gpu

CPU = torch.device('cpu')
DRY_SECONDS = 540


def settings(tmp_path, dry=True):
    return Settings(tmp_path, dry)


def stage(monkeypatch, *programs, limit=60):
    """Puts Python programs in the place of the stages."""
    commands = [[sys.executable, '-c', program] for program in programs]
    monkeypatch.setattr(gpu_check, 'STAGES', {'one': Stage(limit, lambda _: commands)})


def test_stages_fit_two_calls():
    first = STAGES['build'].limit + STAGES['test'].limit
    second = sum(STAGES[name].limit for name in ('bench', 'models', 'sanitize'))
    assert first <= DRY_SECONDS
    assert second <= DRY_SECONDS


def test_files_of_a_run_are_few():
    assert len([*STAGES, gpu_check.RESULTS, gpu_check.SUMMARY]) <= 8


@pytest.mark.parametrize(
    ('programs', 'status'),
    [
        (['print("fine")'], 'passed'),
        (['print("fine")', 'raise SystemExit(3)'], 'failed'),
        (['raise SystemExit(3)', 'print("fine")'], 'failed'),
        (['print("none here"); raise SystemExit(77)'], 'skipped'),
        (['print("fine")', 'raise SystemExit(77)'], 'passed'),
    ],
)
def test_how_a_stage_ends(monkeypatch, tmp_path, programs, status):
    stage(monkeypatch, *programs)
    outcome = gpu_check.run_stage('one', settings(tmp_path))
    assert outcome.status == status
    assert outcome.is_good == (status != 'failed')
    log = (tmp_path / 'one.log').read_text()
    assert all(program in log for program in programs)


def has_ended(process):
    """Whether it has, though nobody may have asked for its exit status yet."""
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2][1] == 'Z'
    except FileNotFoundError:
        return True


def test_a_stage_that_runs_out_of_time(monkeypatch, tmp_path):
    """What it started ends with it; what it said stays; no later command starts."""
    program = (
        'import subprocess\nchild = subprocess.Popen(["sleep", "99"])\n'
        'print(child.pid, flush=True)\nchild.wait()'
    )
    stage(monkeypatch, program, 'print("later")', limit=3)
    monkeypatch.setattr(gpu_check, 'PATIENCE', 1)
    monkeypatch.setattr(gpu_check, 'DRY_PATIENCE', 1)
    outcome = gpu_check.run_stage('one', settings(tmp_path))
    assert outcome.status == 'out of time'
    assert outcome.seconds < 30
    log = (tmp_path / 'one.log').read_text()
    assert 'no time is left for it' in log
    child = next(int(line) for line in log.splitlines() if line.isdigit())
    assert has_ended(child)


def test_the_exit_status_and_the_summary(monkeypatch, tmp_path):
    for program, status in ('print("fine")', 0), ('raise SystemExit(3)', 1):
        stage(monkeypatch, program)
        assert gpu_check.main(['--dry-run', '--out', str(tmp_path)]) == status
    assert '| one | failed |' in (tmp_path / 'summary.md').read_text()


@pytest.mark.parametrize('missing', [None, 'the kernels are not built'])
def test_kernels_are_built_for_any_stage(monkeypatch, tmp_path, missing):
    stage(monkeypatch, 'print("fine")')
    stages = {'build': gpu_check.STAGES['one'], **gpu_check.STAGES}
    monkeypatch.setattr(gpu_check, 'STAGES', stages)
    monkeypatch.setattr(gpu_check._library, 'obstacle', lambda device: missing)
    assert gpu_check.main(['--dry-run', '--out', str(tmp_path), 'one']) == 0
    said = (tmp_path / 'summary.md').read_text()
    assert ('| build | passed |' in said) == (missing is not None)


def test_wrong_command_lines(capsys):
    with pytest.raises(SystemExit):
        gpu_check.main(['--dry-run', 'tests'])
    assert "no stage 'tests'; the stages are build, test" in capsys.readouterr().err
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit):
            gpu_check.main([])
        assert '--dry-run walks the stages' in capsys.readouterr().err


def test_the_commands_for_a_gpu(monkeypatch, tmp_path, capsys):
    real = settings(tmp_path, dry=False)
    every, large = gpu_check.test_commands(real)
    for name in gpu_check.FILES:
        assert f'tests/ops/test_{name}.py' in every
        assert (ROOT / f'tests/ops/test_{name}.py').is_file()
    assert 'large' in large
    monkeypatch.setattr(gpu_check, 'find_sanitizer', lambda: '/opt/sanitizer')
    tools = [command[2] for command in gpu_check.sanitize_commands(real)]
    assert tools == ['memcheck', 'racecheck']
    monkeypatch.setattr(gpu_check, 'find_sanitizer', lambda: None)
    (command,) = gpu_check.sanitize_commands(real)
    assert command[1:3] == ['-m', 'benchmarks.gpu_check']
    assert gpu_check.main(command[3:]) == gpu_check.SKIPPED
    assert 'no compute-sanitizer was found' in capsys.readouterr().out


def test_variants_take_turns_on_their_sets():
    calls = []
    variants = {
        name: [lambda n=name, s=number: calls.append((n, s)) for number in range(2)]
        for name in 'ab'
    }
    found = _gpu.compare(variants, CPU, 0, rounds=2)
    assert set(found.seconds) == set('ab')
    assert set(calls) == {(name, number) for name in 'ab' for number in range(2)}
    assert found.best(['b', 'c']) == 'b'
    assert found.best(['c']) is None


def test_a_variant_that_cannot_be_called_is_named():
    def fail():
        raise RuntimeError('too large\nfor words')

    found = _gpu.compare({'a': [fail], 'b': [lambda: None]}, CPU, 0)
    assert found.failed == {'a': 'too large'}
    assert found.note() == 'a: too large'
    found.check('b')
    with pytest.raises(RuntimeError, match='a failed: too large'):
        found.check('a')


def test_small_inputs_have_several_sets():
    assert _gpu.num_sets(2**30) == 1
    assert _gpu.num_sets(2**27) == 2
    assert _gpu.num_sets(0) == _gpu.MOST_SETS


def test_results_are_on_the_disk_at_once(tmp_path):
    path = tmp_path / 'deep' / 'results.json'
    for name in 'ab':
        results = _gpu.Results(path, name, f'Of {name}', CPU)
        results.add(Row('here', name, 3, 1))
        with results.case('that fails'):
            raise ValueError('wrong')
        found = _gpu.read_results(path)[name]
        assert found['rows'][0]['met'] == 'does not count'  # on a CPU
        assert found['failures'] == [dict(case='that fails', error='ValueError: wrong')]
        assert not found['finished']
    assert results.finish() == 1
    found = _gpu.read_results(path)
    assert list(found) == ['a', 'b']
    assert found['b']['finished']
    text = '\n'.join(gpu_check.section_lines(found['a'], '##'))
    assert 'it did not come to its end' in text
    assert '**failed**: that fails: ValueError: wrong' in text
    assert '0 of 0 gates met; 1 more could not be measured' in text


def test_results_go_into_the_docs(tmp_path, capsys):
    page = tmp_path / 'page.md'
    begin, end = gpu_report.MARKS
    page.write_text(f'before\n{begin}\nnot measured yet\n{end}\nafter\n')
    with pytest.raises(SystemExit):
        gpu_report.main([str(page), str(tmp_path)])
    assert 'has no results.json' in capsys.readouterr().err
    for name, value in ('one', 2), ('two', 3):
        path = tmp_path / name / gpu_check.RESULTS
        results = _gpu.Results(path, 'bench', 'The ops on a GPU', CPU)
        results.add(Row('a shape', 'peer / ours', value, 1))
        results.finish()
    folders = [str(tmp_path / name) for name in ('one', 'two')]
    with pytest.raises(SystemExit):
        gpu_report.main([str(page), *folders])
    assert 'of a dry run' in capsys.readouterr().err
    for name in ('one', 'two'):
        path = tmp_path / name / gpu_check.RESULTS
        path.write_text(path.read_text().replace(_gpu.DRY_RUN, 'a GPU'))
    assert gpu_report.main([str(page), *folders]) == 0
    text = page.read_text()
    assert text.startswith('before\n')
    assert text.endswith('\nafter\n')
    assert '- device: a GPU' in text
    assert '| a shape | peer / ours | ≥ 1x |  | 3x |' in text
    assert 'not measured yet' not in text


def test_docs_have_the_section():
    page = (ROOT / 'docs' / 'benchmarks.md').read_text()
    assert [page.count(mark) for mark in gpu_report.MARKS] == [1, 1]


def test_what_the_clock_says():
    said = 'GPU-1f-2, 1410\nGPU-3f-4, 1980\nGPU-5, [N/A]\n'
    assert _gpu.find_clock(said, '3f-4') == 1.98e9
    assert _gpu.find_clock(said, '5') is None
    assert _gpu.find_clock('', '5') is None
    assert _gpu.exponential_floor(1e9, CPU) is None
    assert _gpu.peak_bytes(lambda: None, CPU) is None
    row = _gpu.memory_row('here', dict(ours=1, peer=4), 'ours', 'peer', 0.3)
    assert row.value == 0.25
    assert row.met() == 'yes'
    row = _gpu.memory_row('here', dict(ours=None, peer=None), 'ours', 'peer', 0.3)
    assert row.met() == '-'


def test_tf32_is_put_back():
    before = torch.backends.cudnn.allow_tf32
    with _gpu.tf32(not before):
        assert torch.backends.cudnn.allow_tf32 is not before
    assert torch.backends.cudnn.allow_tf32 is before


@pytest.mark.long
def test_dry_run(tmp_path):
    done = subprocess.run(
        [str(ROOT / 'tools/gpu_check.sh'), '--dry-run', '--out', str(tmp_path)],
        env={**os.environ, 'PYTHON': sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    summary = (tmp_path / 'summary.md').read_text()
    for name in STAGES:
        assert f'| {name} | passed |' in summary
    results = _gpu.read_results(tmp_path / 'results.json')
    assert set(results) == {'bench', 'models'}
    assert all(section['finished'] for section in results.values())
    check_ops(results['bench']['rows'])
    check_models(results['models']['rows'])


def check_ops(rows):
    """Every shape, in both directions, and who the peers are."""
    cases = {row['case'] for row in rows}
    assert len(cases) == 2 * (len(gpu.SHAPES) + 1 + len(gpu.BLOCKS))
    ratio = rows[0]
    assert ratio['details'].keys() >= {'ours', 'lean loop', 'chunked'}
    if 'mamba-ssm' not in ratio['details']:
        assert not ratio['counts']
        assert 'mamba-ssm is not installed' in ratio['note']


def check_models(rows):
    """The gates end to end, and losses that autocast did change, but little."""
    gates = {row['what']: row['gate'] for row in rows if row['gate'] is not None}
    assert gates['time with a CUDA graph'] == 2
    assert gates['DF-Mamba-a / ResNet-50, images a second'] == 1.07
    assert 2.5 in gates.values()
    trained = [row for row in rows if row['what'].startswith('loss with')]
    assert len(trained) == len(models.FAMILIES)
    for row in trained:
        assert 0 < row['value'] < models.BAND
