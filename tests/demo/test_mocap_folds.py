import json

import pytest
from helpers.modules import ROOT, load_script


@pytest.fixture(scope='module')
def benchmark_script():
    return load_script('benchmarks/lifting/mocap_folds.py')


def test_every_lifter_has_a_config_for_every_fold(benchmark_script):
    for lifter in benchmark_script.LIFTERS:
        for fold in benchmark_script.FOLDS:
            path = ROOT / benchmark_script.config_path(lifter, fold)
            assert path.is_file(), path


def test_table_has_mean_spread_and_ratio(benchmark_script):
    def result(lifter, fold, error, **more):
        metrics = {'MPJPE': error, 'P-MPJPE': error / 2}
        return {'lifter': lifter, 'fold': fold, 'metrics': metrics, **more}

    def network(speed):
        return {'params': 131571, 'macs': 65_875_680, 'clips_per_second': speed}

    results = [
        result('PoseMamba', 2, 110.0, iterations=30, network=network(300)),
        result('PoseMamba', 0, 90.0, iterations=10, network=network(100)),
        result('PoseMamba', 1, 100.0, iterations=20, network=network(140)),
        *(result('flat', fold, 200.0) for fold in range(3)),
    ]
    table = benchmark_script.table(results, {'machine': 'two cores'})
    row = next(line for line in table.splitlines() if line.startswith('| PoseMamba'))
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert cells[1:4] == ['131,571', '65.9 M', '140']
    assert cells[4:6] == ['100.0 ± 10.0', '50.0 ± 5.0']
    assert cells[6:] == ['90.0', '100.0', '110.0', '0.50', '10 / 20 / 30', '-']
    assert '- machine: two cores' in table
    flat = next(line for line in table.splitlines() if line.startswith('| flat'))
    assert flat.count('|') == row.count('|')


def test_a_run_that_fails_stops_the_benchmark(benchmark_script, tmp_path):
    with pytest.raises(RuntimeError, match='no_such_tool'):
        benchmark_script._runs.run(['tools/no_such_tool.py'], tmp_path / 'a' / 'log', 1)


def test_jobs_must_be_positive(benchmark_script, tmp_path):
    with pytest.raises(SystemExit, match='--jobs'):
        benchmark_script.main(['--out', str(tmp_path), '--jobs', '0'])


def test_networks_are_counted_and_timed(benchmark_script, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_script, 'SPEED_BATCH', 1)
    config = benchmark_script.config_path('SasMamba', 0)
    network = benchmark_script.measure_network(config, tmp_path, 1)
    assert network['params'] == 128127
    assert network['frames'] == 27
    assert network['clips_per_second'] > 0


def test_a_run_that_ended_is_kept(benchmark_script, tmp_path, monkeypatch):
    config = benchmark_script.config_path('PoseMamba', 1)
    kept = tmp_path / config.rpartition('/')[2].removesuffix('.py') / 'result.json'
    kept.parent.mkdir()
    result = dict(lifter='PoseMamba', fold=1, minutes=6.0, threads=2, iterations=7)
    kept.write_text(json.dumps(result))

    def refuse(command, log, threads):
        raise RuntimeError('a new run')

    monkeypatch.setattr(benchmark_script._runs, 'run', refuse)
    assert benchmark_script.measure('PoseMamba', 1, tmp_path, 6.0, 2) == result
    with pytest.raises(RuntimeError, match='a new run'):
        benchmark_script.measure('PoseMamba', 1, tmp_path, 5.0, 2)
