"""The graph convolution."""

import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.models.layers import GraphConv

CHAIN = [(0, 1), (1, 2)]


def test_by_hand():
    torch.manual_seed(0)
    layer = GraphConv(4, 4, CHAIN)
    x = torch.randn(2, 4, 3, 4)
    own = layer.own(x.movedim(1, -1))
    others = layer.neighbours(x.movedim(1, -1))
    # Degrees 1, 2, 1 and a joint without bones.
    root = 2**-0.5
    expected = own.clone()
    expected[:, :, 0] += root * others[:, :, 1]
    expected[:, :, 1] += root * (others[:, :, 0] + others[:, :, 2])
    expected[:, :, 2] += root * others[:, :, 1]
    torch.testing.assert_close(layer(x), expected.movedim(-1, 1))


def test_bones_must_exist():
    with pytest.raises(ValueError, match=r'bone \(2, 3\) names a joint .* the 3'):
        GraphConv(4, 3, [(2, 3)])
