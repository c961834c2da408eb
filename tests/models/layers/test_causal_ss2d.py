"""CausalSS2D and its paths: parts in their order, states between pieces."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import CausalSS2D, PathCache, frame_path, joint_path


def build(**kwargs):
    torch.manual_seed(0)
    paths = dict(frame_paths=PathCache(frame_path), joint_paths=PathCache(joint_path))
    return CausalSS2D(8, d_state=4, **paths, **kwargs)


def test_paths_visit_frames_in_order():
    path = frame_path(3, 2)
    assert path.index.tolist() == [[0, 1, 2, 3, 4, 5]] and path.segment is None
    path = joint_path(3, 2)
    assert path.index.tolist() == [[0, 2, 4, 1, 3, 5]]
    assert path.num_segments == 2 and path.segment == 3
    assert not any(reverse for _, _, reverse in path.steps)


def test_parts_are_applied_in_order():
    conv = nn.Conv2d(16, 16, 3, padding=(0, 1), groups=16)
    layer = build(conv=conv, past_frames=2)
    x = torch.randn(2, 4, 5, 8)
    a, z = (x @ layer.in_proj.weight.T).split(16, dim=-1)
    a = F.silu(conv(F.pad(a.movedim(-1, 1), (0, 0, 2, 0))).movedim(1, -1))
    y = layer.frame_scan([a.reshape(2, 20, 16)], frame_path(4, 5))
    # Each joint on its own is a sequence of frames.
    along = a.transpose(1, 2).reshape(10, 4, 16)
    along = layer.joint_scan([along], frame_path(4, 1)).view(2, 5, 4, 16)
    y = y.view(2, 4, 5, 16) + along.transpose(1, 2)
    y = F.layer_norm(y, (16,), layer.out_norm.weight, layer.out_norm.bias, 1e-5)
    expected = (y * F.silu(z)) @ layer.out_proj.weight.T
    torch.testing.assert_close(layer(x), expected)


def test_each_scan_reads_its_source():
    x = torch.randn(1, 3, 5, 8)
    plain = build()(x)
    for sources in ((0, 1), (1, 0)):
        layer = build(mix=lambda x: (x, 0 * x), sources=sources)
        silent = layer.joint_scan if sources == (0, 1) else layer.frame_scan
        found = layer(x)
        assert not torch.allclose(found, plain)
        with torch.no_grad():
            silent.A_log.add_(1)
            silent.D.zero_()
        torch.testing.assert_close(layer(x), found)


def test_pieces_with_a_state_are_the_whole():
    conv = nn.Conv2d(16, 16, 3, padding=(0, 1), groups=16)
    layer = build(conv=conv, past_frames=2).double()
    x = torch.randn(2, 9, 5, 8, dtype=torch.float64)
    state = layer.init_state(2, 5, x.device, x.dtype)
    pieces = torch.cat([layer(piece, state) for piece in x.split([1, 4, 1, 3], 1)], 1)
    torch.testing.assert_close(pieces, layer(x))


@pytest.mark.parametrize('dtype, wide', [('bfloat16', 'float32'), ('float64',) * 2])
def test_scans_keep_their_states_in_full_precision(dtype, wide):
    layer = build(past_frames=2).to(getattr(torch, dtype))
    state = layer.init_state(3, 5, torch.device('cpu'), getattr(torch, dtype))
    assert state.past.dtype == getattr(torch, dtype)
    assert state.frame_scan.dtype == state.joint_scan.dtype == getattr(torch, wide)
    assert state.past.shape == (3, 16, 2, 5)
    assert state.frame_scan.shape == (3, 1, 16, 4)
    assert state.joint_scan.shape == (3, 1, 5, 16, 4)


def test_gradients_go_through_the_state():
    """Clips may be trained on in pieces."""
    layer = build()
    state = layer.init_state(1, 5, torch.device('cpu'), torch.float32)
    x = torch.randn(1, 6, 5, 8, requires_grad=True)
    layer(x[:, :3], state)
    layer(x[:, 3:], state).square().sum().backward()
    assert (x.grad[:, :3] != 0).any()
