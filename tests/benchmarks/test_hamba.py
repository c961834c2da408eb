"""The benchmark of Hamba's head, on a small one."""

import json

import pytest
import torch

import mmssm.registry  # noqa: F401
from benchmarks.models import hamba


def test_what_counts_as_dense():
    """All but the scans and the depth-wise convolutions, by multiply-accumulates."""
    parts = hamba.Parts(hamba.build('GCN + scan', 'small'))
    x = parts.features(1)
    run = hamba.dense_layers(parts, x)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        run()
    sizes = hamba.sizes_of('GCN + scan', 'small')
    whole = sizes['regressor_macs'] + sizes['decoder_macs']
    # per token and block: a 3 x 3 convolution, and in each of 4 paths a step of
    # 5 multiply-accumulates and of rank 6; the mean of neighbours twice
    tokens, inner = 2 * 192 + 2 * 22, 192
    others = tokens * inner * (9 + 4 * (5 + 6)) + 2 * 21 * 21 * 96
    assert counter.get_total_flops() // 2 == whole - others


def test_sizes_are_those_of_the_paper():
    sizes = hamba.sizes_of('GCN + scan', 'base')
    assert sizes['tokens'] == 22
    assert round(sizes['regressor_params'] / 1e6, 1) == 27.6
    assert round(sizes['decoder_params'] / 1e6, 1) == 71.8
    assert sizes['decoder_macs'] / 1e6 == pytest.approx(649, rel=0.005)


def test_all_in_one_page(tmp_path, capsys):
    options = '--arch small --batches 1 2 --seconds 0 --threads 1 --no-memory'
    hamba.main(['--out', str(tmp_path), *options.split()])
    result = json.loads((tmp_path / 'hamba.json').read_text())
    assert list(result['heads']) == list(hamba.HEADS)
    assert list(result['cases']) == ['1', '2']
    for heads in result['cases'].values():
        for times in heads.values():
            assert list(times) == list(hamba.PARTS)
            assert all(milliseconds > 0 for milliseconds in times.values())
    # the gate is of the published size
    assert [row['met'] for row in result['gates']] == ['-'] * 3
    page = (tmp_path / 'hamba.md').read_text()
    assert page in capsys.readouterr().out
    assert '| GCN + scan | 22 |' in page


def test_the_gates():
    times = dict(zip(hamba.PARTS, (100, 40, 150, 110, 160), strict=True))
    cases = {1: {hamba.GATED: times}, 8: {hamba.GATED: times | {'both': 230}}}
    first, ratio, batched = hamba.gates(cases, on_cpu=True)
    assert (first.value, first.met()) == (150, 'yes')
    assert ratio.met() == 'aim'
    assert batched.met() == '**no**'


def test_memory_is_measured_apart(tmp_path):
    args = hamba.parse_args(
        ['--out', str(tmp_path), '--arch', 'small', '--batches', '1', '--threads', '1']
    )
    assert 0 < hamba.memory_apart('GCN + scan', args) < 500


def test_wrong_arguments(tmp_path, capsys):
    for options, message in (
        (['--batches', '0'], '--batches must be at least 1'),
        (['--device', 'cuda'], 'no CUDA device here'),
    ):
        if torch.cuda.is_available() and 'cuda' in options:
            continue
        with pytest.raises(SystemExit):
            hamba.parse_args(['--out', str(tmp_path), *options])
        assert message in capsys.readouterr().err
