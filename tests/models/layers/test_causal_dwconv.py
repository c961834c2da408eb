"""The causal convolution against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

import mmssm.registry  # noqa: F401
from mmssm.models.layers import CausalDWConv1d


@pytest.mark.parametrize('kernel', [1, 3, 4])
@pytest.mark.parametrize('length', [1, 2, 7])
def test_forward_and_gradients_are_those_of_conv1d(kernel, length):
    torch.manual_seed(0)
    layer = CausalDWConv1d(6, kernel).double()
    x = torch.randn(2, length, 6, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    padded = F.pad(x.transpose(1, 2), (kernel - 1, 0))
    expected = F.conv1d(padded, layer.weight, layer.bias, groups=6).transpose(1, 2)
    torch.testing.assert_close(y, expected)
    inputs = (x, layer.weight, layer.bias)
    grad = torch.randn_like(y)
    for own, other in zip(
        torch.autograd.grad(y, inputs, grad),
        torch.autograd.grad(expected, inputs, grad),
        strict=True,
    ):
        torch.testing.assert_close(own, other)


def test_no_token_sees_a_later_one():
    torch.manual_seed(0)
    layer = CausalDWConv1d(3)
    x = torch.randn(1, 9, 3)
    later = x.clone()
    later[:, 5:] += 1
    change = (layer(later) - layer(x)).abs().amax((0, 2)) > 1e-4
    assert change.tolist() == [False] * 5 + [True] * 4


def test_weights_are_those_of_the_convolution_of_mamba():
    ours = CausalDWConv1d(6).state_dict()
    theirs = torch.nn.Conv1d(6, 6, 4, groups=6, padding=3).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {
        k: v.shape for k, v in theirs.items()
    }


def test_a_kernel_has_a_length():
    with pytest.raises(ValueError, match='kernel_size must be positive, got 0'):
        CausalDWConv1d(4, 0)
