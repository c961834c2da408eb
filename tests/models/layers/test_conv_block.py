"""The residual convolution block."""

import torch
import torch.nn.functional as F
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import ConvBlock


def test_two_convolutions_and_nothing_after_the_sum():
    torch.manual_seed(0)
    block = ConvBlock(6, dict(type='BN')).eval()
    nn.init.uniform_(block.norm2.weight)
    x = torch.randn(2, 6, 5, 7)
    y = F.conv2d(x, block.conv1.weight, block.conv1.bias, padding=1)
    y = F.conv2d(
        F.gelu(y / (1 + 1e-5) ** 0.5), block.conv2.weight, block.conv2.bias, padding=1
    )
    expected = x + y / (1 + 1e-5) ** 0.5 * block.norm2.weight[:, None, None]
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


def test_the_norm_is_that_of_the_config():
    block = ConvBlock(6, dict(type='GN', num_groups=2))
    assert isinstance(block.norm1, nn.GroupNorm)
    assert isinstance(block.norm2, nn.GroupNorm)


def test_drop_path_drops_whole_samples_in_training_only():
    torch.manual_seed(0)
    block = ConvBlock(4, dict(type='GN', num_groups=2), drop_path_rate=0.5)
    x = torch.randn(64, 4, 3, 3)
    kept = (block.train()(x) - x).flatten(1).abs().amax(1) > 0
    assert 10 < kept.sum() < 54
    assert ((block.eval()(x) - x).flatten(1).abs().amax(1) > 0).all()
