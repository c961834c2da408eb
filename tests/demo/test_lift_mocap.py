import json
import subprocess
from types import SimpleNamespace

import pytest
from helpers.modules import ROOT, load_script


@pytest.fixture
def demo():
    return load_script('demo/lift_mocap.py')


def test_number_of_steps_comes_from_the_environment(demo, monkeypatch):
    monkeypatch.delenv('MMSSM_DEMO_STEPS', raising=False)
    assert demo._scripts.steps_from_environment() is None
    monkeypatch.setenv('MMSSM_DEMO_STEPS', '20')
    assert demo._scripts.steps_from_environment() == 20


@pytest.mark.parametrize('value', ['0', '-3', 'many'])
def test_a_wrong_number_of_steps_is_refused(demo, monkeypatch, value):
    monkeypatch.setenv('MMSSM_DEMO_STEPS', value)
    with pytest.raises(SystemExit, match='MMSSM_DEMO_STEPS'):
        demo._scripts.steps_from_environment()


def test_summary_puts_the_model_beside_the_trivial_predictors(demo):
    metrics = {
        'MPJPE': 90.0,
        'MPJPE_action_mean': 80.0,
        'MPJPE_Walk': 50.0,
        'P-MPJPE': 60.0,
        'P-MPJPE_Walk': 40.0,
    }
    trivial = {
        'mean_pose': dict.fromkeys(metrics, 400.0),
        'flat': dict.fromkeys(metrics, 200.0),
    }
    lines = demo.summarise(metrics, trivial)
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows['MPJPE'] == ['400.0', '200.0', '90.0', '0.45']
    assert rows['MPJPE_Walk'] == ['400.0', '200.0', '50.0', '0.25']
    assert 'P-MPJPE' in rows and 'P-MPJPE_Walk' not in rows


def test_a_tool_that_fails_stops_the_demo(demo, monkeypatch):
    monkeypatch.setattr(
        subprocess, 'run', lambda *args, **kwargs: SimpleNamespace(returncode=3)
    )
    with pytest.raises(SystemExit, match='status 3'):
        demo._scripts.run_tool('tools/train.py', 'config.py')


@pytest.mark.parametrize(
    ('steps', 'verdict'),
    [('20', 'NOT TRAINED'), ('100000', 'Trained for 100000 iterations.')],
)
def test_demo_says_what_it_did(demo, monkeypatch, tmp_path, capsys, steps, verdict):
    """All but the training and the testing, which stand-ins do."""
    metrics = {'MPJPE': 90.0, 'MPJPE_Walk': 50.0, 'P-MPJPE': 60.0}
    commands = []

    def run_tool(*command):
        commands.append(command)
        if command[0] == 'tools/train.py':
            log = tmp_path / 'train' / 'now'
            (log / 'vis_data').mkdir(parents=True)
            (log / 'now.log').touch()
            scalars = [{'loss': 1.0, 'iter': 10, 'step': 10}, {**metrics, 'step': 10}]
            (log / 'vis_data' / 'scalars.json').write_text(
                '\n'.join(map(json.dumps, scalars))
            )
            (tmp_path / 'train' / 'last_checkpoint').write_text('iter_10.pth')
        else:
            (tmp_path / 'metrics.json').write_text(json.dumps(metrics))

    trivial = {name: dict.fromkeys(metrics, 200.0) for name in ('mean_pose', 'flat')}
    monkeypatch.setenv('MMSSM_DEMO_STEPS', steps)
    monkeypatch.setattr(demo._scripts, 'run_tool', run_tool)
    monkeypatch.setattr(demo, 'evaluate_trivial_lifters', lambda config: trivial)
    demo.main(['--out', str(tmp_path)])

    train, test = commands
    assert f'train_cfg.max_iters={steps}' in train
    printed = capsys.readouterr().out
    assert verdict in printed
    assert (tmp_path / 'summary.txt').read_text() in printed
    assert (tmp_path / 'curves.png').stat().st_size > 0
    # The line that gives the numbers again is the test itself, without pictures.
    again = next(line for line in printed.splitlines() if 'tools/test.py' in line)
    python = demo._scripts.interpreter()
    assert again.split() == [python, *test[: len(again.split()) - 1]]
    assert str(tmp_path / 'metrics.json') in printed


def test_the_demo_s_config_exists(demo):
    assert (ROOT / demo.CONFIG).is_file()
