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

    results = [
        result('PoseMamba', 2, 110.0, iterations=30),
        result('PoseMamba', 0, 90.0, iterations=10),
        result('PoseMamba', 1, 100.0, iterations=20),
        *(result('flat', fold, 200.0) for fold in range(3)),
    ]
    table = benchmark_script.table(results, {'machine': 'two cores'})
    row = next(line for line in table.splitlines() if line.startswith('| PoseMamba'))
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert cells[1:3] == ['100.0 ± 10.0', '50.0 ± 5.0']
    assert cells[3:] == ['90.0', '100.0', '110.0', '0.50', '10 / 20 / 30']
    assert '- machine: two cores' in table


def test_a_run_that_fails_stops_the_benchmark(benchmark_script, tmp_path):
    with pytest.raises(RuntimeError, match='no_such_tool'):
        benchmark_script.run(['tools/no_such_tool.py'], tmp_path / 'a' / 'log', 1)


def test_jobs_must_be_positive(benchmark_script, tmp_path):
    with pytest.raises(SystemExit, match='--jobs'):
        benchmark_script.main(['--out', str(tmp_path), '--jobs', '0'])
