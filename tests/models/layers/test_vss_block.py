"""VSSBlock: residuals, norms, drop path."""

import torch
import torch.nn.functional as F
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.models.layers import VSSBlock


def test_two_pre_norm_residuals():
    torch.manual_seed(0)
    mixer = nn.Linear(8, 8)
    block = VSSBlock(8, mixer, mlp_ratio=3.0)
    x = torch.randn(2, 3, 5, 8)
    y = x + mixer(F.layer_norm(x, (8,), eps=1e-6))
    hidden = F.gelu(block.mlp.fc1(F.layer_norm(y, (8,), eps=1e-6)))
    assert hidden.shape[-1] == 24
    torch.testing.assert_close(block(x), y + block.mlp.fc2(hidden))


def test_norms_hold_up_on_faint_features():
    # eps is 1e-6: features of variance 1e-6 keep 1 / sqrt(2) of their size.
    block = VSSBlock(2, nn.Identity())
    x = torch.tensor([[1e-3, -1e-3]])
    torch.testing.assert_close(block.norm1(x), x * 1e3 / 2**0.5)
    torch.testing.assert_close(block.norm2(x), x * 1e3 / 2**0.5)


def test_drop_path_drops_whole_samples_in_training_only():
    torch.manual_seed(0)
    block = VSSBlock(8, nn.Identity(), drop_path_rate=0.5)
    nn.init.zeros_(block.mlp.fc2.weight)
    nn.init.zeros_(block.mlp.fc2.bias)
    x = torch.randn(64, 3, 8)
    branch = F.layer_norm(x, (8,), eps=1e-6)
    change = block.train()(x) - x
    kept = change.flatten(1).abs().amax(1) > 0
    assert 10 < kept.sum() < 54
    torch.testing.assert_close(change[kept], 2 * branch[kept], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(block.eval()(x), x + branch)


def test_without_mlp_there_is_one_residual():
    block = VSSBlock(4, nn.Linear(4, 4), mlp_ratio=0.0, norm_eps=1.0)
    assert block.mlp is None
    assert {name.partition('.')[0] for name in block.state_dict()} == {'norm1', 'mixer'}
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(
        block(x), x + block.mixer(F.layer_norm(x, (4,), eps=1.0))
    )
