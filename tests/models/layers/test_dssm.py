"""The deformable state-space layer."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

import mmssm.registry  # noqa: F401
from mmssm.models.layers import DSSM, PathCache, RowScan, cross_paths

PATHS = PathCache(partial(cross_paths, used=(0,)))


def layer_of(channels=6, deformed=True, **kwargs):
    torch.manual_seed(0)
    layer = DSSM(channels, paths=PATHS, d_state=3, dt_rank=2, **kwargs).double()
    if deformed:
        torch.nn.init.normal_(layer.sample_weight, std=0.3)
        torch.nn.init.normal_(layer.sample_bias)
    return layer


def by_hand(layer, x):
    """Equation 6, place by place, with PyTorch's bilinear sampling."""
    N, H, W, E = x.shape
    G, K = layer.offset_groups, len(layer.anchors)
    width = 2 * G * K
    image = x.permute(0, 3, 1, 2)
    sampled = torch.zeros_like(image)
    predicted = x @ layer.sample_weight.T + layer.sample_bias
    offsets = predicted[..., :width].view(N, H, W, G, K, 2)
    weights = predicted[..., width:].view(N, H, W, G, K)
    place = torch.stack(
        torch.meshgrid(torch.arange(H), torch.arange(W), indexing='ij'), -1
    )
    scale = torch.tensor([max(W - 1, 1), max(H - 1, 1)])
    for g in range(G):
        channels = slice(g * E // G, (g + 1) * E // G)
        for k in range(K):
            at = place + layer.anchors[k] + offsets[..., g, k, :]
            grid = 2 * at.flip(-1) / scale - 1
            value = F.grid_sample(image[:, channels], grid, align_corners=True)
            sampled[:, channels] += weights[..., g, k].unsqueeze(1) * value
    u, tokens = sampled.permute(0, 2, 3, 1).flatten(1, 2), x.flatten(1, 2)
    s6 = layer.s6
    dt, B, C = (tokens @ s6.x_proj[0].T).split([s6.dt_rank, s6.d_state, s6.d_state], -1)
    delta = F.softplus(dt @ s6.dt_weight[0].T + s6.dt_bias[0])
    state = torch.zeros(N, E, s6.d_state, dtype=x.dtype)
    y = []
    for t in range(H * W):
        step = delta[:, t, :, None]
        state = torch.exp(-step * s6.A_log[0].exp()) * state
        state = state + step * B[:, t, None] * u[:, t, :, None]
        y.append((state * C[:, t, None]).sum(-1) + s6.D[0] * tokens[:, t])
    return torch.stack(y, 1).unflatten(1, (H, W))


@pytest.mark.parametrize('anchors', [1, 9, 25])
@pytest.mark.parametrize('groups', [1, 3])
def test_forward_and_gradients_are_those_of_equation_6(anchors, groups):
    layer = layer_of(num_anchors=anchors, offset_groups=groups)
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    y, expected = layer(x), by_hand(layer, x)
    torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)
    inputs = (x, *layer.parameters())
    grad = torch.randn_like(y)
    for own, other in zip(
        torch.autograd.grad(y, inputs, grad),
        torch.autograd.grad(expected, inputs, grad),
        strict=True,
    ):
        torch.testing.assert_close(own, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize('anchors', [1, 9, 25])
def test_at_the_start_it_is_the_plain_scan(anchors):
    layer = layer_of(num_anchors=anchors, offset_groups=2, deformed=False)
    plain = RowScan(6, paths=PATHS, d_state=3, dt_rank=2).double()
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if 's6' in k})
    x = torch.randn(2, 4, 5, 6).double()
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-12, atol=1e-12)


def test_anchors_are_rows_and_columns_of_a_window():
    anchors = layer_of(num_anchors=9).anchors.tolist()
    assert anchors[0] == [-1, -1] and anchors[1] == [-1, 0] and anchors[4] == [0, 0]
    assert layer_of(num_anchors=25).anchors.amin() == -2
    assert layer_of(num_anchors=1).anchors.tolist() == [[0, 0]]


def test_samples_are_offsets_and_weights_by_group():
    layer = layer_of(num_anchors=9, offset_groups=2)
    offset, weight = layer.samples(torch.randn(2, 20, 6).double())
    assert offset.shape == (2, 20, 2, 9, 2) and weight.shape == (2, 20, 2, 9)


def test_samples_do_not_decay():
    layer = layer_of()
    marked = {
        name
        for name, parameter in layer.named_parameters()
        if getattr(parameter, '_no_weight_decay', False)
    }
    assert marked == {'sample_weight', 'sample_bias', 's6.A_log', 's6.D', 's6.dt_bias'}


def test_anchors_are_no_part_of_a_checkpoint():
    assert 'anchors' not in layer_of().state_dict()


@pytest.mark.parametrize('anchors', [-9, 0, 2, 4, 16])
def test_anchors_stand_around_a_place(anchors):
    with pytest.raises(ValueError, match=f'odd number squared .*got {anchors}'):
        DSSM(4, paths=PATHS, num_anchors=anchors)


@pytest.mark.parametrize('groups', [0, 3])
def test_groups_divide_the_channels(groups):
    with pytest.raises(ValueError, match=f'divide the 4 channels, got {groups}'):
        DSSM(4, paths=PATHS, offset_groups=groups)
