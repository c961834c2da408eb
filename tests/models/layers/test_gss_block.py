"""The graph-guided block."""

import pytest
import torch
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import (
    GSSBlock,
    NormedStages,
    PathCache,
    SelfAttention,
    cross_paths,
    cross_scan_block,
)

BONES = [(0, 1), (1, 2)]


def block(blocks=(), order=None, bones=BONES, channels=4):
    torch.manual_seed(0)
    return GSSBlock(channels, blocks, num_joints=3, bones=bones, order=order)


class Watch(nn.Module):
    """Keeps what it is given, and leaves it as it is."""

    def forward(self, x):
        self.seen = x
        return x


def test_joints_are_convolved_and_the_global_token_is_not():
    made = block()
    x = torch.randn(2, 4, 4)
    y = made(x)
    joints = made.gcn(x[:, :3])
    flat = joints.flatten(0, 1)
    normed = (flat - flat.mean(0)) / (flat.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(y[:, :3], normed.relu().view(2, 3, 4))
    assert torch.equal(y[:, 3], x[:, 3])


def test_blocks_see_a_column_with_the_global_token_last():
    watch = Watch()
    x = torch.randn(2, 4, 4)
    assert torch.equal(block([watch], bones=None)(x), x)
    assert torch.equal(watch.seen, x[:, :, None])


def test_another_order_is_undone_behind_the_blocks():
    watch = Watch()
    x = torch.randn(2, 4, 4)
    assert torch.equal(block([watch], order=(2, 0, 1), bones=None)(x), x)
    assert torch.equal(watch.seen[:, :, 0], x[:, [2, 0, 1, 3]])


def test_the_order_counts_for_a_scan():
    torch.manual_seed(0)
    scan = cross_scan_block(4, PathCache(cross_paths)).eval()
    x = torch.randn(2, 4, 4)
    plain, shuffled = (
        block([scan], order=order, bones=None)(x) for order in (None, (2, 0, 1))
    )
    assert (plain - shuffled).abs().max() > 1e-4
    same = block([scan], order=(0, 1, 2), bones=None)(x)
    torch.testing.assert_close(plain, same)


def test_a_column_is_scanned_twice_forth_and_twice_back():
    """Row by row and column by column are one order on a map of one column."""
    paths = cross_paths(22, 1)
    assert torch.equal(paths.index, torch.arange(22).expand(2, -1))
    assert [reverse for *_, reverse in paths.steps] == [False, False, True, True]


@pytest.mark.parametrize('order', [(0, 1), (0, 1, 1), (1, 2, 3)])
def test_an_order_is_of_all_joints(order):
    with pytest.raises(ValueError, match='scan_order must hold each of the joints'):
        block(order=order)


def test_attention_knows_no_order():
    torch.manual_seed(0)
    attention = SelfAttention(8, num_heads=2).double()
    x = torch.randn(2, 5, 1, 8, dtype=torch.float64)
    y = attention(x)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(attention(x[:, order]), y[:, order])
    # written out for the first head of the first sample
    q, k, v = (x[0, :, 0] @ w.T + b for w, b in _thirds(attention.qkv))
    heads = [
        (q[:, h] @ k[:, h].T / 2).softmax(-1) @ v[:, h]
        for h in (slice(0, 4), slice(4, 8))
    ]
    torch.testing.assert_close(y[0, :, 0], attention.out_proj(torch.cat(heads, -1)))
    with pytest.raises(ValueError, match='num_heads must divide the 8 channels'):
        SelfAttention(8, num_heads=3)


def _thirds(linear):
    return zip(linear.weight.chunk(3), linear.bias.chunk(3), strict=True)


def test_only_the_last_norm_is_used_and_learns():
    stages = NormedStages([nn.Linear(4, 4), nn.Linear(4, 4)], 4)
    x = torch.randn(3, 4)
    first, last = stages.stages
    expected = nn.functional.layer_norm(last(first(x)), (4,))
    torch.testing.assert_close(stages(x), expected)
    stages(x).square().sum().backward()
    dead = [name for name, p in stages.named_parameters() if p.grad is None]
    assert dead == ['norms.0.weight', 'norms.0.bias']
    assert not any(p.requires_grad for p in stages.norms[0].parameters())
