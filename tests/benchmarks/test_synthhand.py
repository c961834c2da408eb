import json

import numpy as np
import pytest
from helpers import freihand
from helpers.modules import ROOT, load_script
from mmengine.config import Config

from benchmarks import _runs, _synthhand


@pytest.fixture(scope='module')
def script():
    return load_script('benchmarks/models/synthhand.py')


def test_backbones_differ_in_nothing_else(script):
    configs = {
        name: Config.fromfile(ROOT / script.BENCHMARK.config_path(name)).to_dict()
        for name in script.BENCHMARK.configs
    }
    for config in configs.values():
        del config['model']['backbone']
        del config['model']['head']['in_channels']
    first, *others = configs.values()
    assert all(other == first for other in others)


def network(rate):
    return {
        'params': 29_536_199,
        'macs': 1.96e9,
        'images_per_second': {'1': [rate] * 3, '32': [2 * rate] * 3},
    }


def result(backbone, seed, error):
    metrics = {'MPJPE': error, 'PA-MPJPE': error / 2, 'AUC_0-50': 60.0}
    return {
        'backbone': backbone,
        'seed': seed,
        'iterations': 10 * seed,
        'training_seconds': 61.4,
        'network': network(10 + seed),
        'metrics': {**metrics, 'AUC_20-50': 90.0},
    }


def test_table_has_mean_and_spread(script):
    results = [result('ResNet-50', seed, 10.0 + seed) for seed in (2, 0, 1)]
    mean_hand = {'backbone': 'mean hand', 'metrics': results[0]['metrics']}
    table = script.BENCHMARK.table([*results, mean_hand], {'machine': 'two cores'})
    rows = [line for line in table.splitlines() if line.startswith('| ')]
    assert len({row.count('|') for row in rows}) == 1
    cells = [cell.strip() for cell in rows[1].strip('|').split('|')]
    assert cells[:3] == ['ResNet-50', '29,536,199', '1.96 G']
    assert cells[3] == '11.0 (10.0 to 12.0)'
    assert cells[5:8] == ['11.00 ± 1.00', '5.50 ± 0.50', '60.0 ± 0.0']
    assert cells[-2:] == ['0 / 10 / 20', '61 / 61 / 61']
    assert '- machine: two cores' in table
    assert '12.00' in rows[2] and '±' not in rows[2]


def test_the_mean_hand_is_that_of_the_training(script, tmp_path):
    for split in ('training', 'evaluation'):
        freihand.write(tmp_path, split=split, versions=1)
    path = script.BENCHMARK.config_path('ResNet-50')
    config = _synthhand.load_config(path, tmp_path)
    found = script.mean_hand(config)
    joints = np.array(freihand.data()['xyz'])
    joints -= joints[:, :1]
    errors = 1000 * np.linalg.norm(joints - joints.mean(0), axis=-1)
    assert found['MPJPE'] == pytest.approx(errors.mean(), rel=1e-4)
    assert 0 < found['PA-MPJPE'] < found['MPJPE']


def test_networks_are_counted_and_timed(script, tmp_path, monkeypatch):
    monkeypatch.setattr(_synthhand, 'SPEED_BATCHES', (1,))
    monkeypatch.setattr(_synthhand, 'SPEED_REPEATS', 2)
    path = script.BENCHMARK.config_path('ResNet-50')
    config = _synthhand.load_config(path, tmp_path)
    config.codec.input_size = config.model.head.decoder.input_size = (64, 32)
    measured = _synthhand.measure_network(config)
    assert measured['params'] == 34_006_122
    assert len(measured['images_per_second']['1']) == 2
    assert 0 < measured['macs'] < 1e9


def test_a_run_that_ended_is_kept(script, tmp_path, monkeypatch):
    name = script.BENCHMARK.configs['ResNet-50']
    kept = tmp_path / f'{name}-seed1' / 'result.json'
    kept.parent.mkdir()
    terms = dict(backbone='ResNet-50', seed=1, minutes=6.0, threads=2)
    kept.write_text(json.dumps(dict(**terms, data=str(tmp_path), iterations=7)))

    def refuse(command, log, threads):
        raise RuntimeError('a new run')

    monkeypatch.setattr(_runs, 'run', refuse)
    again = (tmp_path, tmp_path)
    assert script.BENCHMARK.measure('ResNet-50', 1, *again, 6.0, 2)['iterations'] == 7
    with pytest.raises(RuntimeError, match='a new run'):
        script.BENCHMARK.measure('ResNet-50', 1, *again, 5.0, 2)


def test_time_must_be_positive(script, tmp_path):
    with pytest.raises(SystemExit):
        script.BENCHMARK.main('', ['--out', str(tmp_path), '--minutes', '0'])
