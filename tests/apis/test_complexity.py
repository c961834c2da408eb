"""Counts against the published ones and against sums by hand."""

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count, profiler_count
from mmssm.models.layers import S6, DeformDWConv2d
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


def lifter(backbone):
    """A model without loss and its input, on the meta device."""
    with torch.device('meta'):
        built = MODELS.build(backbone)
        head = MODELS.build(
            dict(type='mmssm.LiftingHead', in_channels=built.embed_dims)
        )
        inputs = torch.zeros(1, built.num_frames, 17, built.in_channels)
    return nn.Sequential(built, head), inputs


@pytest.mark.parametrize(
    'size, profiler_params, profiler_gmacs, params, gmacs',
    [
        (dict(arch='base', kernel_size=1), 417_411, 1.747, 731_011, 3.91),
        (dict(arch='base'), 624_951, 2.604, 951_351, 5.01),
        (dict(arch='base', kernel_size=5), 2_017_911, 8.357, 2_364_791, 11.19),
        (dict(arch='base', kernel_size=7), 6_564_951, 27.139, 6_942_551, 30.60),
        (dict(arch='large'), 4_136_299, 17.179, 5_572_459, 27.48),
    ],
)
def test_sasmamba(size, profiler_params, profiler_gmacs, params, gmacs):
    model, inputs = lifter(dict(type='mmssm.SasMamba', **size))
    published = profiler_count(model, inputs)
    assert published.params == profiler_params
    assert round(published.macs / 1e9, 3) == profiler_gmacs
    real = count(model, inputs)
    assert real.params == params
    assert real.macs / 1e9 == pytest.approx(gmacs, rel=0.005)


@pytest.mark.parametrize(
    'depth, width, paper_params, paper_gmacs',
    [
        (12, 64, 0.516, 2.2),
        (16, 64, 0.688, 2.9),
        (20, 64, 0.860, 3.6),
        (24, 64, 1.031, 4.3),
        (32, 64, 1.375, 5.7),
        (40, 64, 1.719, 7.2),
        (48, 64, 2.062, 8.6),
        (40, 32, 0.450, 1.9),
        (40, 128, 6.714, 27.9),
        (40, 256, 26.535, 109.9),
        (12, 256, 7.963, 33.0),
        (20, 128, 3.358, 13.9),
    ],
)
def test_posemamba_table_6(depth, width, paper_params, paper_gmacs):
    """Every row of the paper's table, whose depth counts both blocks of a pair."""
    model, inputs = lifter(
        dict(type='mmssm.PoseMamba', embed_dims=width, depth=depth // 2)
    )
    published = profiler_count(model, inputs)
    assert published.params / 1e6 == pytest.approx(paper_params, abs=6e-4)
    assert published.macs / 1e9 == pytest.approx(paper_gmacs, abs=0.051)


@pytest.mark.parametrize('name', ['PoseMamba', 'SasMamba'])
def test_paths_that_are_not_scanned_cost_nothing_and_keep_their_weights(name):
    size = dict(type=f'mmssm.{name}', embed_dims=16, depth=1, num_frames=9)
    whole, half = (
        count(*lifter(dict(**size, scans=scans)))
        for scans in (
            ('spatial', 'temporal', 'spatial_back', 'temporal_back'),
            ('spatial', 'temporal_back'),
        )
    )
    assert half.params == whole.params
    assert 2 * half.scan_macs == whole.scan_macs


@pytest.mark.parametrize('name', ['PoseMamba', 'SasMamba'])
def test_causal_models_scan_half_of_the_paths(name):
    sizes = dict(type=f'mmssm.{name}', embed_dims=16, depth=2, num_frames=14)
    with torch.device('meta'):
        both_ways = MODELS.build(sizes)
        causal = MODELS.build(dict(sizes, causal=True))
        inputs = torch.zeros(1, 14, 17, 2)
    expected, found = count(both_ways, inputs), count(causal, inputs)
    assert found.scan_macs * 2 == expected.scan_macs
    assert found.params < expected.params and found.macs < expected.macs
    # Samples are taken of the two past frames of each piece too, and thrown away.
    of_sasmamba = 5 * 9 * 32 * 17 * (2 if name == 'SasMamba' else 0)
    others = [c.macs - c.scan_macs for c in (both_ways_projections(expected), found)]
    assert others[1] == others[0] + 4 * of_sasmamba


def both_ways_projections(counted):
    """Without the projections of two of four paths, 14 x 17 tokens, four blocks."""
    saved = 4 * 14 * 17 * 2 * 32 * (1 + 2 * 16)
    return type(counted)(counted.params, counted.macs - saved, counted.scan_macs)


def test_samples_by_hand():
    layer = DeformDWConv2d(6, 3)
    places = 2 * 5 * 4
    offsets = places * 18 * 6 * 9
    samples = places * 9 * 6 * (4 + 1)
    x = torch.zeros(2, 6, 5, 4)
    assert count(nn.Sequential(layer), x).macs == offsets + samples
    assert profiler_count(nn.Sequential(layer), x).macs == offsets


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
