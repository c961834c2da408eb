import json

import pytest
from helpers.modules import ROOT, load_script

from mmssm.apis import find_model

LOG = """2026/01/01 00:00:00 - mmengine - INFO - paramwise_options -- a
2026/01/01 00:00:01 - mmengine - INFO - Iter(train) [20/40]  lr: 1e-3  loss: 0.5
2026/01/01 00:00:02 - mmengine - INFO - Iter(val) [1/2]    eta: 0:00:12
2026/01/01 00:00:03 - mmengine - INFO - Iter(val) [2/2]    PA-MPJPE: 9.0  time: 1
"""
METRICS = {'PA-MPJPE': 9.0, 'PA-MPVPE': 8.0, 'F@5': 0.5, 'F@15': 0.9}


@pytest.fixture
def demo():
    return load_script('demo/train_hand_mesh.py')


@pytest.mark.parametrize(
    ('steps', 'verdict', 'images'),
    [
        ('20', 'NOT TRAINED', '64'),
        (None, 'Trained for 7 of 2000 iterations', '2000'),
    ],
)
def test_demo_says_what_it_did(
    demo, monkeypatch, tmp_path, capsys, steps, verdict, images
):
    """All but what takes time, which stand-ins do."""
    commands = []

    def run_tool(*command):
        commands.append(command)
        if command[0] == 'tools/dataset_converters/synthhand.py':
            folder = tmp_path / f'images-{images}'
            folder.mkdir()
            eye = [[100, 0, 50], [0, 100, 50], [0, 0, 1]]
            columns = {'xyz': [[0.0, 0.0, 1.0], [0.1, 0.2, 1.0]], 'K': eye}
            for name, values in columns.items():
                path = folder / f'evaluation_{name}.json'
                path.write_text(json.dumps([values] * 5))
        elif command[0] == 'tools/train.py':
            (tmp_path / 'train' / 'now').mkdir(parents=True)
            (tmp_path / 'train' / 'now' / 'now.log').write_text(LOG)
            (tmp_path / 'train' / 'last_checkpoint').write_text('iter_10.pth')
        elif command[0] == 'tools/test.py':
            (tmp_path / 'metrics.json').write_text(json.dumps(METRICS))

    if steps is None:
        monkeypatch.delenv('MMSSM_DEMO_STEPS', raising=False)
    else:
        monkeypatch.setenv('MMSSM_DEMO_STEPS', steps)
    monkeypatch.setattr(demo._scripts, 'run_tool', run_tool)
    monkeypatch.setattr(demo, 'iterations_within', lambda config, seconds: 7)
    trivial = dict.fromkeys(METRICS, 2.0)
    monkeypatch.setattr(demo, 'evaluate_mean_hand', lambda config: trivial)
    demo.main(['--out', str(tmp_path)])

    made, train, test, shown, publish, *drawn = commands
    assert made[made.index('--num') + 1] == images
    assert f'train_cfg.max_iters={steps or 7}' in train
    for command in (train, test):
        root = f'test_dataloader.dataset.data_root={tmp_path / f"images-{images}"}'
        assert root in command
    assert '--show-dir' in shown and '--out' in test
    assert publish[-1] == str(tmp_path / 'hamba-small-synthhand.safetensors')
    assert len(drawn) == demo.DRAWN
    assert drawn[0][-4:] == ('50.0', '50.0', '60.0', '70.0')
    record = (tmp_path / 'hamba-small-synthhand.txt').read_text().splitlines()
    assert record[-2:] == [
        'Iter(train) [20/40]  lr: 1e-3  loss: 0.5',
        'Iter(val) [2/2]    PA-MPJPE: 9.0  time: 1',
    ]
    assert str(tmp_path) not in '\n'.join(record)
    printed = capsys.readouterr().out
    assert verdict in printed
    assert (tmp_path / 'summary.txt').read_text() in printed
    row = next(line for line in printed.splitlines() if line.startswith('PA-MPJPE'))
    assert row.split() == ['PA-MPJPE', '2.0', '9.0']
    again = next(line for line in printed.splitlines() if 'tools/test.py' in line)
    assert again.split()[0] == demo._scripts.interpreter()


def test_images_are_generated_once(demo, monkeypatch, tmp_path):
    (tmp_path / 'images-64').mkdir()
    monkeypatch.setattr(demo._scripts, 'run_tool', lambda *command: pytest.fail())
    assert demo.make_images(tmp_path, True) == tmp_path / 'images-64'


def test_the_demo_s_config_exists(demo):
    assert (ROOT / demo.CONFIG).is_file()
    shipped = find_model('hamba-small-synthhand')
    assert shipped.config.samefile(demo.REPOSITORY / demo.CONFIG)
