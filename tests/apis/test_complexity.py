"""Counts against the published ones and against sums by hand."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count, profiler_count
from mmssm.models.layers import S6
from mmssm.models.layers import cross_paths as paths_of


@pytest.mark.parametrize(
    'arch, width, profiler_params, profiler_gmacs, gmacs, scan_gmacs',
    [
        ('small', 64, 859_651, 3.587, 7.92, 2.750),
        ('base', 128, 3_357_699, 13.943, 23.29, 5.499),
        ('large', 128, 6_713_859, 27.881, 46.58, 10.998),
        ('xlarge', 256, 26_534_915, 109.909, 152.71, 21.997),
    ],
)
def test_posemamba(arch, width, profiler_params, profiler_gmacs, gmacs, scan_gmacs):
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='mmssm.PoseMamba', arch=arch))
        head = MODELS.build(dict(type='mmssm.LiftingHead', in_channels=width))
        inputs = torch.zeros(1, 243, 17, 2)
    model = nn.Sequential(backbone, head)
    published = profiler_count(model, inputs)
    assert published.params == profiler_params
    assert round(published.macs / 1e9, 3) == profiler_gmacs
    real = count(model, inputs)
    assert round(real.macs / 1e9, 2) == gmacs
    # The step sizes' projection is made inside the scan: R of 4 * 16 + 1 + R.
    rank = width // 16
    scan = real.scan_macs * (4 * 16 + 1) / (4 * 16 + 1 + rank)
    assert round(scan / 1e9, 3) == scan_gmacs
    assert real.params == sum(p.numel() for p in model.parameters())


def test_scan_by_hand():
    layer = S6(6, 4, d_state=3, dt_rank=2)

    class Scan(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer([x], paths_of(5, 7))

    real = count(Scan(), torch.zeros(2, 35, 6))
    tokens = 2 * 35
    projection = tokens * 4 * (2 + 3 + 3) * 6
    assert real.scan_macs == tokens * 4 * 6 * (4 * 3 + 1 + 2)
    assert real.macs == real.scan_macs + projection
    assert real.by_module['layer'] == real.macs


def test_layers_by_hand():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=2, bias=False), nn.Flatten(2), nn.LayerNorm(9)
    )
    inputs = torch.zeros(2, 4, 5, 5)
    convolution = 2 * 8 * 9 * (2 * 9)
    assert count(model, inputs).macs == convolution
    published = profiler_count(model, inputs)
    assert published.macs == convolution + 4 * 2 * 8 * 9
    assert published.params == 8 * 2 * 9 + 18


def test_scans_run_again_after_counting():
    layer = S6(6, 4, d_state=3, dt_rank=2)
    x = torch.randn(1, 6, 6)
    before = layer([x], paths_of(2, 3))

    class Broken(nn.Module):
        def forward(self, _):
            raise RuntimeError('broken')

    for counter in (count, profiler_count):
        with pytest.raises(RuntimeError, match='broken'):
            counter(Broken(), x)
    torch.testing.assert_close(layer([x], paths_of(2, 3)), before, rtol=0, atol=0)
