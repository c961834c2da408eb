"""SasMamba's strides."""

import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.models.layers import StrideMix

SECOND = [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14, 16]
THIRD = [0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 12, 15, 15]


def test_sum_is_read_by_the_spatial_paths_alone():
    mix = StrideMix(17)
    x = torch.randn(2, 3, 17, 8)
    spatial, temporal = mix(x)
    assert mix.sources == (0, 1)
    assert temporal is x
    torch.testing.assert_close(spatial, x + x[:, :, SECOND] + x[:, :, THIRD])


def test_split_is_read_by_all_paths():
    mix = StrideMix(17, mode='split')
    x = torch.randn(2, 3, 17, 8)
    (both,) = mix(x)
    assert mix.sources == (0, 0)
    assert torch.equal(both[..., :4], x[..., :4])
    assert torch.equal(both[..., 4:6], x[:, :, SECOND, 4:6])
    assert torch.equal(both[..., 6:], x[:, :, THIRD, 6:])


@pytest.mark.parametrize('channels', [1, 3, 6, 9])
def test_split_uses_every_channel_once(channels):
    mix = StrideMix(5, mode='split')
    assert mix(torch.randn(1, 2, 5, channels))[0].shape == (1, 2, 5, channels)


def test_gradients():
    x = torch.randn(1, 2, 17, 4, requires_grad=True)
    for grad in ('identity', 'full'):
        spatial, _ = StrideMix(17, grad=grad)(x)
        (gradient,) = torch.autograd.grad(spatial.sum(), x)
        counts = [1 + SECOND.count(v) + THIRD.count(v) for v in range(17)]
        expected = torch.tensor(counts if grad == 'full' else [1] * 17).float()
        assert torch.equal(gradient[0, 0, :, 0], expected)


def test_any_strides():
    x = torch.randn(1, 2, 17, 4)
    (spatial, _) = StrideMix(17, strides=(2,))(x)
    assert torch.equal(spatial, x[:, :, SECOND])
