"""The benchmark of streams on a few frames."""

import json

import pytest
import torch
from helpers.modules import load_script
from torch import nn


@pytest.fixture(scope='module')
def script():
    return load_script('benchmarks/lifting/streaming.py')


class Mean(nn.Module):
    """Every frame becomes the mean of the frames that are seen at once."""

    def forward(self, x):
        return x.mean(1, keepdim=True).expand_as(x)


class Place(nn.Module):
    """Every frame becomes itself and its place among those seen at once."""

    def forward(self, x):
        places = torch.arange(x.shape[1]).view(1, -1, 1, 1).expand_as(x)
        return torch.cat([x, places], -1)


def frames(count):
    return torch.arange(float(count)).view(1, count, 1, 1)


@pytest.mark.parametrize('delay', [0, 13])
def test_sliding_windows_keep_the_right_frame(script, delay):
    x = frames(60)
    kept = script.Sliding(Place(), delay)(x)[0, :, 0]
    assert kept[:, 0].tolist() == x.flatten().tolist()
    assert kept[40, 1] == 26 - delay
    means = script.Sliding(Mean(), delay)(x).flatten()
    assert means[40] == 40 - 13 + delay
    assert means[0] == delay / 2


def test_windows_side_by_side_do_not_overlap(script):
    means = script.SideBySide(Mean())(frames(60)).flatten()
    assert means[:27].unique().item() == 13 and means[54:].unique().item() == 56.5


def test_all_ways_in_one_table(script, tmp_path, capsys):
    sizes = ['--videos', '1', '--frames', '4', '--seconds', '0']
    script.main(['--out', str(tmp_path), *sizes])
    results = json.loads((tmp_path / 'streaming.json').read_text())
    assert list(results['errors']) == [way.name for way in script.WAYS]
    table = (tmp_path / 'streaming.md').read_text()
    assert table in capsys.readouterr().out
    for way in script.WAYS:
        errors, time = results['errors'][way.name], results['milliseconds'][way.unit]
        assert 0 < errors['P-MPJPE'] < errors['MPJPE'] and time > 0
        assert f'| {way.name} | {errors["MPJPE"]:.1f} |' in table
    # A clip shorter than a window: frame by frame is all at once.
    causal = [way.name for way in script.WAYS if way.weights == script.CAUSAL]
    steps, windows = (results['errors'][name] for name in causal)
    assert steps == pytest.approx(windows, rel=1e-4)
