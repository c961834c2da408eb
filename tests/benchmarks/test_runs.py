import json

import pytest

from benchmarks import _runs


@pytest.fixture
def commands(monkeypatch):
    """The commands of a run, which are noted instead of started."""
    noted = []

    def run(command, log, threads):
        noted.append(command)
        work_dir = log.parent
        work_dir.mkdir(parents=True, exist_ok=True)
        if command[0] == 'tools/train.py':
            (work_dir / 'last_checkpoint').write_text('iter_7.pth\n')
        else:
            (work_dir / 'metrics.json').write_text(json.dumps({'PA-MPJPE': 9.5}))
        return ''

    monkeypatch.setattr(_runs, 'run', run)
    return noted


def start(work_dir, **terms):
    return _runs.train_and_test(
        'config.py',
        work_dir,
        {'head': 'a', 'threads': 2, **terms},
        steps=lambda: 7,
        network=lambda: {'params': 5},
        train_options=['randomness.seed=1'],
        test_options=['test_dataloader.batch_size=3'],
    )


def test_a_run_is_trained_tested_and_kept(tmp_path, commands, capsys):
    result = start(tmp_path / 'a')
    train, test = commands
    assert train[:2] == ['tools/train.py', 'config.py']
    assert train[train.index('--cfg-options') + 1 :] == [
        'randomness.seed=1',
        'train_cfg.max_iters=7',
        'default_hooks.checkpoint.interval=7',
    ]
    assert test[:3] == ['tools/test.py', 'config.py', 'iter_7.pth']
    assert test[-2:] == ['--cfg-options', 'test_dataloader.batch_size=3']
    assert result.pop('training_seconds') >= 0
    assert result == {
        'head': 'a',
        'threads': 2,
        'iterations': 7,
        'network': {'params': 5},
        'metrics': {'PA-MPJPE': 9.5},
    }
    assert 'a: 7 iterations' in (printed := capsys.readouterr().out)
    assert 'PA-MPJPE 9.50 mm' in printed
    again = start(tmp_path / 'a')
    assert len(commands) == 2 and again['metrics'] == {'PA-MPJPE': 9.5}


def test_other_terms_are_another_run(tmp_path, commands):
    start(tmp_path)
    start(tmp_path, threads=1)
    assert len(commands) == 4


def test_groups_and_cells():
    runs = [
        {'head': 'b', 'seed': 1, 'seconds': 3.4},
        {'head': 'a', 'seed': 0, 'seconds': 1.6},
        {'head': 'b', 'seed': 0, 'seconds': 2.2},
        {'head': 'mean'},
    ]
    groups = _runs.group(runs, 'head', 'seed')
    assert [run['seed'] for run in groups['b']] == [0, 1]
    assert _runs.each(groups['b'], 'seconds') == '2 / 3'
    assert _runs.each(groups['mean'], 'seconds') == '-'
    assert _runs.spread([1.0, 3.0], 2) == '2.00 ± 1.41'
    assert _runs.spread([1.0], 1) == '1.0'


def test_a_page_is_written_beside_its_numbers(tmp_path, capsys):
    text = _runs.page('Title', 'Why.', ['a', 'b'], [['1', '2']], {'machine': 'two'})
    assert text.splitlines() == [
        '# Title',
        '',
        'Why.',
        '',
        '| a | b |',
        '|---|---|',
        '| 1 | 2 |',
        '',
        '- machine: two',
    ]
    _runs.save(tmp_path, 'name', {'machine': 'two'}, [{'a': 1}], text)
    assert (tmp_path / 'name.md').read_text() == text
    saved = json.loads((tmp_path / 'name.json').read_text())
    assert saved == {'context': {'machine': 'two'}, 'results': [{'a': 1}]}
    assert 'Title' in capsys.readouterr().out
