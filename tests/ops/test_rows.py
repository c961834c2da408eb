"""What one channel or sample holds changes no bit of another."""

import pytest
import torch
from helpers import devices

from mmssm.ops import selective_scan

ROW, STEP = (0, 3), 40


def make():
    """Two samples of 20 channels: a full block of the kernels and a part of one."""
    generator = torch.Generator().manual_seed(0)
    shapes = {'u': (2, 20, 150), 'delta': (2, 20, 150), 'A': (20, 4)}
    shapes |= {'B': (2, 1, 4, 150), 'C': (2, 1, 4, 150)}
    tensors = {k: devices.normal(*v, generator=generator) for k, v in shapes.items()}
    tensors['A'] = -tensors['A'].abs()
    return tensors


def scan(tensors):
    """Returns the output, and the gradients of what belongs to one row."""
    tensors = {k: v.clone().requires_grad_() for k, v in tensors.items()}
    y = selective_scan(**tensors, delta_softplus=True)
    own = tensors['u'], tensors['delta']
    return y.detach(), *torch.autograd.grad(y, own, torch.ones_like(y))


# 900: a step so long that its row leaves the kernels' short cut for 2^x, which its
# neighbours must not notice either.
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf'), 900.0])
@pytest.mark.parametrize('name', ['u', 'delta'])
def test_other_rows_and_earlier_steps(implementation, name, value):
    expected = scan(make())
    tensors = make()
    tensors[name][*ROW, STEP] = value
    others = torch.ones(2, 20, dtype=torch.bool)
    others[ROW] = False
    got = scan(tensors)
    for a, b in zip(got, expected, strict=True):
        assert torch.equal(a[others], b[others])
    assert torch.equal(got[0][*ROW, :STEP], expected[0][*ROW, :STEP])
    assert not torch.equal(got[0][*ROW, STEP:], expected[0][*ROW, STEP:])


@pytest.mark.parametrize('value', [float('nan'), -400.0])
def test_dynamics_of_other_rows(implementation, value):
    expected = scan(make())
    tensors = make()
    tensors['A'][5, 1] = value
    others = torch.arange(20) != 5
    for a, b in zip(scan(tensors), expected, strict=True):
        assert torch.equal(a[:, others], b[:, others])


@pytest.mark.parametrize('name', ['u', 'delta', 'A', 'B', 'C'])
def test_a_missing_tensor_is_named(name):
    with pytest.raises(TypeError, match=f'^{name} must be a tensor, got NoneType$'):
        selective_scan(**make() | {name: None})
