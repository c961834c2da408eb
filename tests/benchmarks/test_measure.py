"""Tests of what the benchmarks share, and of their report."""

import json
import os
import subprocess
import sys

import pytest
from helpers.modules import ROOT

from benchmarks import _measure
from benchmarks._measure import Row, interleave
from benchmarks.ops import __main__ as report


def test_variants_take_turns():
    calls = []
    times = interleave(
        {name: lambda name=name: calls.append(name) for name in 'ab'},
        seconds=0,
        slot=0,
        rounds=(2, 2),
    )
    assert calls == ['a', 'b'] * 3  # the first to warm up
    assert set(times) == {'a', 'b'}


def test_rows_know_whether_they_are_met():
    assert Row('', '', 9, gate=10).met() == '**no**'
    assert Row('', '', 10, gate=10, aim=20).met() == 'yes'
    assert Row('', '', 20, gate=10, aim=20).met() == 'aim'
    assert Row('', '', 1.6, gate=1.5, at_least=False).met() == '**no**'
    assert Row('', '', 1.4, gate=1.5, at_least=False).met() == 'yes'
    assert Row('', '', None, gate=1.5).met() == '-'
    assert Row('', '', 9, gate=1, counts=False).met() == 'does not count'
    assert Row('', '', 3).met() == '-'
    cells = Row('a', 'b', None, 2, note='no such thing').cells()
    assert 'not measured' in cells
    assert 'no such thing' in cells


def test_peak_memory_sees_what_is_freed_again():
    code = (
        'import torch\n'
        'from benchmarks._measure import peak_memory\n'
        'print(peak_memory(lambda: torch.ones(5_000_000) + 1))\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={
            **os.environ,
            **_measure.MEMORY_ENVIRONMENT,
            'PYTHONPATH': os.pathsep.join(
                [os.environ.get('PYTHONPATH', ''), str(ROOT)]
            ),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    # The system counts resident pages in batches.
    assert int(done.stdout) == pytest.approx(40e6, rel=0.05)


def test_peak_memory_asks_for_its_environment(monkeypatch):
    monkeypatch.delenv('MALLOC_MMAP_THRESHOLD_', raising=False)
    with pytest.raises(RuntimeError, match='MALLOC_MMAP_THRESHOLD_'):
        _measure.peak_memory(lambda: None)


def test_a_question_writes_its_rows(tmp_path, capsys):
    target = tmp_path / 'deep' / 'a.json'
    arguments = ['--out', str(target), '--seconds', '3', '--threads', '1']
    _measure.run(lambda seconds: [Row('a', 'b', seconds, 1)], 'Why?\nSo.', arguments)
    result = json.loads(target.read_text())
    assert result['title'] == 'Why?'
    assert result['rows'][0]['value'] == 3
    assert {'machine', 'torch', 'commit', 'threads'} <= set(result['context'])
    assert '| a | b | ≥ 1x |' in capsys.readouterr().out


def test_section_counts_gates_and_replaces_itself():
    rows = [Row('a', 'b', 3, 1), Row('c', 'd', 3, 4), Row('e', 'f', 3)]
    result = dict(
        title='Why?',
        context={'threads': 2},
        rows=[dict(vars(row), met=row.met()) for row in rows],
    )
    text = report.section([result], {'machine': 'mine'}, 90)
    assert '1 of 2 gates met, in 1.5 minutes' in text
    assert '### Why?' in text
    page = f'before\n{report.BEGIN}\nold\n{report.END}\nafter\n'
    once = report.replace_section(page, text)
    assert once == report.replace_section(once, text)
    assert once.startswith('before\n')
    assert once.endswith('\nafter\n')
    assert 'old' not in once
    with pytest.raises(ValueError, match='once each'):
        report.replace_section('nothing', text)


def test_every_question_is_a_script():
    scripts = {path.stem for path in (ROOT / 'benchmarks' / 'ops').glob('*.py')}
    others = {'__main__', 'cuda_instructions', 'gpu', 'peers', 'shapes'}
    assert set(report.QUESTIONS) == scripts - others


def test_docs_have_the_section():
    page = (ROOT / 'docs' / 'benchmarks.md').read_text()
    assert page.count(report.BEGIN) == page.count(report.END) == 1
