"""Tests of the benchmark of the models on a GPU, on the CPU."""

import pytest
import torch
from helpers import fresh
from helpers.modules import ROOT

from benchmarks import _gpu
from benchmarks.models import gpu

CPU = torch.device('cpu')


def make(tmp_path, steps=4):
    results = _gpu.Results(tmp_path / 'results.json', 'models', gpu.TITLE, CPU)
    return gpu.Benchmark(results, CPU, 0, steps, tiny=True)


def rows(benchmark):
    return benchmark.results.section['rows']


@pytest.mark.parametrize('wrong', [2.0, float('nan')])
def test_a_loss_outside_of_the_band_is_a_failure(tmp_path, monkeypatch, wrong):
    benchmark = make(tmp_path)
    monkeypatch.setattr(benchmark, 'tiny', False)  # there it is bfloat16 alone
    losses = {None: [9.0, 1, 1, 1], 'bfloat16': [9.0, 1, 1, 1.05]}
    monkeypatch.setattr(gpu, 'make_batches', lambda *_: [])
    monkeypatch.setattr(
        benchmark,
        'losses',
        lambda _, __, dtype: (losses.get(dtype, [9.0, 1, 1, wrong]), 0.1),
    )
    with pytest.raises(ValueError, match=r'band of 0\.1: loss with float16'):
        benchmark.train('PoseMamba', tmp_path / 'hands')
    assert rows(benchmark)[0]['value'] == pytest.approx(0.05)


def test_every_run_begins_alike_and_goes_round(tmp_path):
    benchmark = make(tmp_path, steps=3)
    config = gpu.load_config(gpu.FAMILIES['SasMamba'])
    config.train_dataloader.batch_size = 2
    batches = gpu.make_batches(config, tmp_path / 'hands', 2)
    assert len(batches) == 2
    first, second = (benchmark.losses(config, batches, None)[0] for _ in range(2))
    assert len(first) == 3
    assert first == pytest.approx(second, rel=1e-4)


def test_configs_of_all_families_are_there():
    for path in (*gpu.FAMILIES.values(), gpu.POSEMAMBA):
        assert (ROOT / path).is_file()


def test_without_mmpose():
    """The ops are checked there all the same."""
    done = fresh.run(
        """
        import sys
        for name in ('mmengine', 'mmcv', 'mmpose'):
            sys.modules[name] = None
        import benchmarks.gpu_check, benchmarks.ops.gpu
        from benchmarks.models import gpu
        sys.exit(gpu.main(['--device', 'cpu', '--out', sys.argv[1]]))
        """,
        'unused.json',
        path=[ROOT],
    )
    assert done.returncode == 77, done.stderr
    assert 'the models are not checked' in done.stdout
    assert len(done.stdout.splitlines()) == 1
