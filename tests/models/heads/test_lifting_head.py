"""LiftingHead: layers, losses, precision."""

import pytest
import torch
import torch.nn.functional as F
from helpers.lifting import batch

from mmssm.registry import MODELS

CODEC = dict(type='MotionBERTLabel', num_keypoints=17, rootrel=True)


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmssm.LiftingHead', in_channels=8, **kwargs))


def test_norm_and_linear_layer():
    head = build()
    x = torch.randn(2, 9, 17, 8)
    expected = F.layer_norm(x, (8,), eps=1e-5) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head(x), expected)
    assert set(head.state_dict()) == {
        'pre_logits.weight',
        'pre_logits.bias',
        'fc.weight',
        'fc.bias',
    }


def test_initial_weights_are_pytorchs_own():
    head = build()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.init_weights()
    for name, value in head.state_dict().items():
        assert torch.equal(value, before[name])
    assert head.fc.weight.abs().max() <= 8**-0.5


def test_autocast_leaves_coordinates_in_full_precision():
    head = build()
    x = torch.randn(2, 9, 17, 8)
    with torch.autocast('cpu', torch.bfloat16):
        y = head(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, head(x), rtol=0, atol=0)


def test_losses_are_logged_term_by_term():
    head = build()
    _, samples = batch()
    feats = torch.randn(2, 9, 17, 8)
    losses = head.loss(feats, samples)
    assert list(losses) == [
        'loss_mpjpe',
        'loss_n_mpjpe',
        'loss_velocity',
        'loss_temporal_consistency',
        'mpjpe',
    ]
    target = torch.stack([s.gt_instance_labels.lifting_target_label for s in samples])
    total = sum(value for name, value in losses.items() if 'loss' in name)
    assert total.item() == pytest.approx(head.loss_module(head(feats), target).item())
    assert losses['mpjpe'].item() == pytest.approx(losses['loss_mpjpe'].item())


def test_the_logged_error_leaves_out_invisible_joints():
    head = build()
    _, samples = batch()
    feats = torch.randn(2, 9, 17, 8)
    for sample in samples:
        sample.gt_instance_labels.lifting_target_weight[:, 5:] = 0
    target = torch.stack([s.gt_instance_labels.lifting_target_label for s in samples])
    expected = (head(feats) - target)[:, :, :5].norm(dim=-1).mean()
    assert head.loss(feats, samples)['mpjpe'].item() == pytest.approx(expected.item())


def test_a_loss_of_mmpose_works_too():
    head = build(loss=dict(type='MPJPEVelocityJointLoss'))
    _, samples = batch()
    assert set(head.loss(torch.randn(2, 9, 17, 8), samples)) == {
        'loss_pose3d',
        'mpjpe',
    }


def test_nan_predictions_are_refused():
    head = build(decoder=CODEC)
    _, samples = batch()
    feats = torch.randn(2, 9, 17, 8)
    feats[1] = float('nan')
    with pytest.raises(ValueError, match='prediction of clip 1'):
        head.predict(feats, samples)
