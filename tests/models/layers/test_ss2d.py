"""SS2D: parts, paths, gate."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import SS2D, PathCache, cross_paths


def build(**kwargs):
    torch.manual_seed(0)
    return SS2D(8, paths=PathCache(cross_paths), d_state=4, **kwargs)


def test_parts_are_applied_in_the_order_of_the_figure():
    conv = nn.Conv2d(16, 16, 3, padding=1, groups=16)
    layer = build(conv=conv)
    x = torch.randn(2, 3, 5, 8)
    a, z = (x @ layer.in_proj.weight.T).split(16, dim=-1)
    a = F.silu(conv(a.movedim(-1, 1)).movedim(1, -1))
    y = layer.s6([a.reshape(2, 15, 16)], cross_paths(3, 5)).view(2, 3, 5, 16)
    y = F.layer_norm(y, (16,), layer.out_norm.weight, layer.out_norm.bias, 1e-5)
    expected = (y * F.silu(z)) @ layer.out_proj.weight.T
    torch.testing.assert_close(layer(x), expected)


def test_mix_makes_the_sources():
    paths = PathCache(lambda rows, columns: cross_paths(rows, columns, (0, 1)))
    torch.manual_seed(0)
    mixed = SS2D(8, paths=paths, mix=lambda x: (x, x), d_state=4)
    plain = build()
    plain.load_state_dict(mixed.state_dict())
    x = torch.randn(1, 3, 5, 8)
    torch.testing.assert_close(mixed(x), plain(x))


def test_without_gate_the_first_projection_is_half_as_wide():
    layer = build(gate=False, ssm_ratio=1.0)
    assert layer.in_proj.weight.shape == (8, 8)
    x = torch.randn(2, 4, 3, 8, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize('embed_dims, rank', [(8, 1), (16, 1), (17, 2), (64, 4)])
def test_default_rank(embed_dims, rank):
    layer = SS2D(embed_dims, paths=PathCache(cross_paths))
    assert layer.s6.dt_rank == rank


def test_paths_are_made_once_per_size_and_device():
    made = []

    def build_paths(rows, columns):
        made.append((rows, columns))
        return cross_paths(rows, columns)

    cache = PathCache(build_paths)
    cpu = torch.device('cpu')
    first = cache(2, 3, cpu)
    assert cache(2, 3, cpu) is first
    cache(3, 2, cpu)
    assert cache(2, 3, torch.device('meta')).index.device.type == 'meta'
    assert made == [(2, 3), (3, 2), (2, 3)]


def test_copies_and_pickles_of_a_layer_work():
    layer = build()
    x = torch.randn(1, 2, 3, 8)
    expected = layer(x)
    assert copy.deepcopy(layer).paths is layer.paths
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
