"""The gated mixer, against a Mamba block that is written out."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import DSSM, GatedConv, PathCache, RowScan, cross_paths

PATHS = PathCache(partial(cross_paths, used=(0,)))


def mamba(x, mixer):
    """Mamba's mixer over tokens ``(N, L, C)``, step by step, from its Algorithm 2."""
    z = x @ mixer.gate_proj.weight.T
    x = x @ mixer.in_proj.weight.T
    kernel = mixer.conv.weight[:, 0]
    length = x.shape[1]
    padded = F.pad(x, (0, 0, kernel.shape[1] - 1, 0))
    windows = [padded[:, i : i + length] * kernel[:, i] for i in range(kernel.shape[1])]
    x = sum(windows) + mixer.conv.bias
    x = x * torch.sigmoid(x)
    s6 = mixer.ssm.s6
    dt, B, C = (x @ s6.x_proj[0].T).split([s6.dt_rank, s6.d_state, s6.d_state], -1)
    delta = torch.log1p(torch.exp(dt @ s6.dt_weight[0].T + s6.dt_bias[0]))
    A = -s6.A_log[0].exp()
    state = torch.zeros(len(x), *A.shape, dtype=x.dtype)
    y = []
    for i in range(length):
        state = torch.exp(delta[:, i, :, None] * A) * state
        state = state + delta[:, i, :, None] * B[:, i, None] * x[:, i, :, None]
        y.append((state * C[:, i, None]).sum(-1) + s6.D[0] * x[:, i])
    y = torch.stack(y, 1) * z * torch.sigmoid(z)
    return y @ mixer.out_proj.weight.T


@pytest.mark.parametrize('expand', [1.0, 2.0])
@pytest.mark.parametrize(
    'ssm',
    [
        pytest.param(partial(DSSM, num_anchors=1), id='one-undeformed-anchor'),
        pytest.param(partial(DSSM, num_anchors=9), id='nine-anchors-at-the-start'),
        pytest.param(RowScan, id='plain'),
    ],
)
def test_without_deformation_it_is_a_mamba_block(ssm, expand):
    torch.manual_seed(0)
    ssm = ssm(int(8 * expand), paths=PATHS, d_state=4, dt_rank=2)
    mixer = GatedConv(8, expand, ssm).double()
    x = torch.randn(2, 3, 5, 8).double()
    expected = mamba(x.flatten(1, 2), mixer).unflatten(1, (3, 5))
    torch.testing.assert_close(mixer(x), expected, rtol=1e-10, atol=1e-10)


def test_without_state_space_it_is_a_gated_convolution():
    torch.manual_seed(0)
    mixer = GatedConv(6, 4 / 3)
    assert mixer.out_proj.in_features == 8
    x = torch.randn(2, 3, 5, 6)
    rows = F.pad(mixer.in_proj(x).flatten(1, 2).transpose(1, 2), (3, 0))
    rows = F.conv1d(rows, mixer.conv.weight, mixer.conv.bias, groups=8)
    z1 = F.silu(rows).transpose(1, 2).unflatten(1, (3, 5))
    y = mixer.out_proj(z1 * F.silu(mixer.gate_proj(x)))
    torch.testing.assert_close(mixer(x), y)


def test_every_weight_gets_a_gradient():
    torch.manual_seed(0)
    mixer = GatedConv(6, 1, DSSM(6, paths=PATHS, d_state=3, dt_rank=2))
    mixer(torch.randn(2, 4, 4, 6)).square().sum().backward()
    for name, parameter in mixer.named_parameters():
        assert (parameter.grad != 0).any(), name


def test_linear_layers_have_no_bias():
    linear = [m for m in GatedConv(6, 1).modules() if isinstance(m, nn.Linear)]
    assert [layer.bias for layer in linear] == [None] * 3
