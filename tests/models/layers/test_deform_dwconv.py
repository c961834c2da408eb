"""The depth-wise deformable convolution."""

import pytest
import torch
import torch.nn.functional as F

import mmssm.registry  # noqa: F401
from mmssm.models.layers import DeformDWConv2d


@pytest.mark.parametrize('kernel', [1, 3, 5])
def test_without_offsets_it_is_a_depth_wise_convolution(kernel):
    layer = DeformDWConv2d(6, kernel)
    with torch.no_grad():
        layer.offset.weight.zero_()
        layer.offset.bias.zero_()
    x = torch.randn(2, 6, 7, 5)
    expected = F.conv2d(
        x,
        layer.weight.view(6, 1, kernel, kernel),
        layer.bias,
        padding=kernel // 2,
        groups=6,
    )
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_offsets_are_row_and_column_of_each_tap():
    layer = DeformDWConv2d(4, 3)
    with torch.no_grad():
        layer.offset.weight.zero_()
        layer.offset.bias.zero_()
        # Tap 5 stands right of the centre; two rows down from there.
        layer.offset.bias[2 * 5] = 2
        layer.weight.zero_()[:, 5] = 1
        layer.bias.zero_()
    x = torch.randn(1, 4, 6, 5)
    y = layer(x)
    torch.testing.assert_close(y[..., :4, :4], x[..., 2:, 1:])
    assert not y[..., 4:, :].any() and not y[..., 4].any()


def test_every_weight_gets_a_gradient():
    torch.manual_seed(0)
    layer = DeformDWConv2d(6, 3)
    layer(torch.randn(2, 6, 7, 5)).square().sum().backward()
    for parameter in layer.parameters():
        assert (parameter.grad != 0).all()


def test_size_of_a_layer():
    """The paper's Table 5 grows with the fourth power of the window."""
    for kernel in (3, 5, 7):
        count = sum(p.numel() for p in DeformDWConv2d(8, kernel).parameters())
        taps = kernel**2
        assert count == 2 * taps * (8 * taps + 1) + 8 * (taps + 1)


def test_half_precision_stays_half():
    layer = DeformDWConv2d(4, 3).bfloat16()
    x = torch.randn(1, 4, 5, 6).bfloat16()
    assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize('kernel', [0, 2, -1])
def test_windows_stand_around_a_place(kernel):
    with pytest.raises(ValueError, match='odd and positive'):
        DeformDWConv2d(4, kernel)
