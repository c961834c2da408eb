import json

import pytest
from helpers.modules import ROOT, load_script
from mmengine.config import Config

from benchmarks import _runs, _synthhand


@pytest.fixture(scope='module')
def script():
    return load_script('benchmarks/models/synthhand.py')


def configs_of(benchmark):
    return [
        Config.fromfile(ROOT / benchmark.config_path(name)).to_dict()
        for name in benchmark.configs
    ]


def test_backbones_differ_in_nothing_else(script):
    first, *others = configs_of(script.BENCHMARK)
    for config in (first, *others):
        del config['model']['backbone']
        del config['model']['head']['in_channels']
    assert all(other == first for other in others)


def test_heads_for_meshes_differ_in_nothing_else():
    script = load_script('benchmarks/models/hand_mesh_synthhand.py')
    hamba, plain = configs_of(script.BENCHMARK)
    heads = [config['model'].pop('head') for config in (hamba, plain)]
    assert hamba == plain
    assert [head['type'] for head in heads] == ['mmssm.HambaHead', 'mmssm.MANOHead']
    assert heads[0]['in_channels'] == heads[1]['in_channels']
    for name in ('loss', 'mano'):
        assert heads[0].get(name) == heads[1].get(name)


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
    assert cells[-1] == '61 / 61 / 61'
    assert rows[2].endswith('| - |')
    assert '- machine: two cores' in table
    assert '12.00' in rows[2] and '±' not in rows[2]


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
    terms = dict(backbone='ResNet-50', seed=1, iterations=7, threads=2)
    kept.write_text(json.dumps(dict(**terms, data=str(tmp_path), training_seconds=9)))

    def refuse(command, log, threads):
        raise RuntimeError('a new run')

    monkeypatch.setattr(_runs, 'run', refuse)
    again = (tmp_path, tmp_path)
    result = script.BENCHMARK.measure('ResNet-50', 1, *again, 7, 2)
    assert result['training_seconds'] == 9
    with pytest.raises(RuntimeError, match='a new run'):
        script.BENCHMARK.measure('ResNet-50', 1, *again, 8, 2)


def test_iterations_must_be_positive(script, tmp_path):
    with pytest.raises(SystemExit):
        script.BENCHMARK.main('', ['--out', str(tmp_path), '--iterations', '0'])
