"""The deformable convolution without a look ahead."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import CausalDeformDWConv2d, DeformDWConv2d
from mmssm.models.layers.causal_deform_dwconv import MAP_FRAMES


def still(kernel: int = 3, channels: int = 4) -> CausalDeformDWConv2d:
    """A layer whose offsets are its offsets' bias, here 0."""
    layer = CausalDeformDWConv2d(channels, kernel)
    with torch.no_grad():
        layer.offset.weight.zero_()
        layer.offset.bias.zero_()
    return layer


def padded(x: torch.Tensor, layer: CausalDeformDWConv2d) -> torch.Tensor:
    return F.pad(x, (0, 0, layer.past_frames, 0))


@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('frames', [1, 7, MAP_FRAMES, 2 * MAP_FRAMES + 3])
def test_without_offsets_it_is_a_convolution_of_the_last_frames(kernel, frames):
    layer = still(kernel)
    x = padded(torch.randn(2, 4, frames, 5), layer)
    weight = layer.weight.view(4, 1, kernel, kernel)
    expected = F.conv2d(x, weight, layer.bias, padding=(0, kernel // 2), groups=4)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def one_tap(tap: int, rows: float, columns: float) -> CausalDeformDWConv2d:
    """A layer of one tap at an offset."""
    layer = still()
    with torch.no_grad():
        layer.offset.bias[2 * tap : 2 * tap + 2] = torch.tensor([rows, columns])
        layer.weight.zero_()[:, tap] = 1
        layer.bias.zero_()
    return layer


@pytest.mark.parametrize(
    'tap, rows, columns, back, aside',
    [
        (7, 0, 0, 0, 0),  # the middle of the last row: the place itself
        (1, 0, 0, 2, 0),
        (7, -1, 0, 1, 0),
        (7, -1, 2, 1, 2),
        (7, 3, 0, 0, 0),  # would be later: the present
        (4, 9, 0, 0, 0),
        (1, -4, 0, 2, 0),  # would be older than the window: its oldest
        (8, -5, 0, 2, 1),
    ],
)
def test_taps_stand_within_the_frames_of_the_window(tap, rows, columns, back, aside):
    layer = one_tap(tap, rows, columns)
    x = torch.randn(1, 4, 20, 6)
    y = layer(padded(x, layer))
    expected = F.pad(x, (0, aside, back, 0))[:, :, :20, aside:]
    torch.testing.assert_close(y, expected)


def test_between_frames_it_is_bilinear():
    layer = one_tap(7, -0.25, 0)
    x = torch.randn(1, 4, 9, 6)
    before = F.pad(x, (0, 0, 1, 0))[:, :, :9]
    torch.testing.assert_close(
        layer(padded(x, layer)), 0.75 * x + 0.25 * before, rtol=1e-5, atol=1e-6
    )


def test_pieces_are_the_whole_however_long():
    """Also far from the start, where numbers of rows are large."""
    torch.manual_seed(0)
    layer = CausalDeformDWConv2d(4)
    x = torch.randn(1, 4, 2002, 5)
    whole = layer(x)
    for frame in (0, 15, 1000, 1999):
        piece = layer(x[:, :, frame : frame + 3])
        torch.testing.assert_close(piece, whole[:, :, frame : frame + 1], atol=2e-6,
                                   rtol=0)  # fmt: skip


def test_later_frames_change_nothing_and_get_no_gradient():
    torch.manual_seed(0)
    layer = CausalDeformDWConv2d(4, 5)
    nn.init.normal_(layer.offset.weight)  # places far outside
    x = torch.randn(1, 4, 40, 5, requires_grad=True)
    y = layer(x)
    (gradient,) = torch.autograd.grad(y[:, :, 20].sum(), x)
    assert not gradient[:, :, 25:].any() and gradient[:, :, 20:25].any()
    assert not gradient[:, :, :20].any()


def test_weights_are_those_of_the_other():
    other = DeformDWConv2d(6, 3)
    layer = CausalDeformDWConv2d(6, 3)
    layer.load_state_dict(other.state_dict())
    assert layer.past_frames == 2
    x = torch.randn(2, 6, 7, 5)
    layer(x).square().sum().backward()
    for parameter in layer.parameters():
        assert (parameter.grad != 0).all()


@pytest.mark.parametrize('kernel', [0, 2])
def test_windows_are_odd(kernel):
    with pytest.raises(ValueError, match='odd and positive'):
        CausalDeformDWConv2d(4, kernel)
