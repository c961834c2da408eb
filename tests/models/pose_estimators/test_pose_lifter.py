"""What every lifter of ours owes MMPose's PoseLifter."""

import copy
from pathlib import Path

import mmpose
import numpy as np
import pytest
import torch
from helpers.lifting import FLIP_INDICES, batch, tiny_model
from mmengine.config import Config
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401


def build(config):
    torch.manual_seed(0)
    return MODELS.build(config).eval()


@pytest.fixture(params=[2, 3], ids=['xy', 'xy-confidence'])
def lifter(request):
    return build(tiny_model(in_channels=request.param))


def test_loss_mode_reaches_every_parameter(lifter):
    inputs, samples = batch(channels=lifter.backbone.in_channels)
    lifter.train()
    losses = lifter(inputs, samples, mode='loss')
    total, log = lifter.parse_losses(losses)
    total.backward()
    assert total.isfinite() and 'mpjpe' in log
    assert [n for n, p in lifter.named_parameters() if p.grad is None] == []


def test_tensor_mode(lifter):
    inputs, _ = batch(channels=lifter.backbone.in_channels)
    assert lifter(inputs, None, mode='tensor').shape == (2, 9, 17, 3)


def test_predict_mode_decodes_to_metres_around_the_root(lifter):
    inputs, samples = batch(channels=lifter.backbone.in_channels)
    with torch.no_grad():
        raw = lifter(inputs, None, mode='tensor')
        results = lifter(inputs, samples, mode='predict')
    for clip, result in zip(raw, results, strict=True):
        relative = clip.numpy().copy()
        relative[:, 0] = 0
        # 1000 pixels are 2 units; the factor is 4 mm per pixel.
        expected = (relative - relative[:, :1]) * 500 * 4 / 1000
        (found,) = result.pred_instances.keypoints
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert result.pred_instances.keypoint_scores.shape == (1, 9, 17)


def test_flip_test_is_the_mean_of_two_passes():
    config = tiny_model()
    plain = build(config)
    flipping = build(dict(config, test_cfg=dict(flip_test=True)))
    flipping.load_state_dict(plain.state_dict())
    inputs, samples = batch()

    def flip(x):
        x = x[:, :, FLIP_INDICES].clone()
        x[..., 0] *= -1
        return x

    with torch.no_grad():
        there = plain(inputs, None, mode='tensor')
        back = flip(plain(flip(inputs), None, mode='tensor'))
        # PoseLifter flips its inputs in place.
        results = flipping(inputs.clone(), copy.deepcopy(samples), mode='predict')
    mean = (there + back) / 2
    mean[:, :, 0] = 0
    for expected, result in zip(mean, results, strict=True):
        np.testing.assert_allclose(
            result.pred_instances.keypoints[0], expected.numpy() * 2, atol=1e-5
        )


def test_shorter_clips_work_as_they_are(lifter):
    inputs, samples = batch(num_frames=4, channels=lifter.backbone.in_channels)
    with torch.no_grad():
        (first, _) = lifter(inputs, samples, mode='predict')
    assert first.pred_instances.keypoints.shape == (1, 4, 17, 3)


def test_autocast_trains_and_predicts(lifter):
    inputs, samples = batch(channels=lifter.backbone.in_channels)
    with torch.autocast('cpu', torch.bfloat16):
        total, _ = lifter.parse_losses(lifter(inputs, samples, mode='loss'))
        lifter(inputs, samples, mode='predict')
    total.backward()
    assert all(p.grad.isfinite().all() for p in lifter.parameters())


def test_optimizer_steps_lower_the_loss():
    lifter = build(tiny_model(drop_path_rate=0.0)).train()
    optimizer = torch.optim.AdamW(lifter.parameters(), 3e-3)
    inputs, samples = batch()
    history = []
    for _ in range(8):
        total, _ = lifter.parse_losses(lifter(inputs, samples, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert history[-1] < 0.95 * history[0]


def test_drops_into_a_stock_config():
    """By the command-line options that a user would give."""
    folder = Path(mmpose.__file__).parent / '.mim/configs/body_3d_keypoint/motionbert'
    config = Config.fromfile(
        folder / 'h36m/motionbert_dstformer-243frm_8xb32-240e_h36m.py'
    )
    config.merge_from_dict(
        {
            'model.backbone._delete_': True,
            'model.backbone.type': 'mmssm.PoseMamba',
            'model.backbone.embed_dims': 16,
            'model.backbone.depth': 1,
            'model.head.in_channels': 16,
            'model.init_cfg': None,
        }
    )
    lifter = build(config.model)
    inputs, samples = batch(channels=3)
    total, _ = lifter.parse_losses(lifter(inputs, samples, mode='loss'))
    total.backward()
    with torch.no_grad():
        results = lifter(inputs, samples, mode='predict')
    assert results[0].pred_instances.keypoints.shape == (1, 9, 17, 3)
