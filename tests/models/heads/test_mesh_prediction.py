"""From parameters to a hand in the crop."""

import math

import numpy as np
import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.models.heads.mesh_prediction import MeshRegressor, predict_mesh
from mmssm.models.layers import MANO


@pytest.fixture(scope='module')
def hand():
    return MANO()


def test_the_mean_hand(hand):
    """Without features: turned about x by half a turn, MANO's mean pose, no shape."""
    regressor = MeshRegressor(8, hand)
    pred = predict_mesh(hand, *regressor(torch.zeros(2, 8)))
    turned = torch.diag(torch.tensor([1.0, -1, -1])).expand(2, 1, 3, 3)
    torch.testing.assert_close(pred.global_orient, turned)
    fingers = axis_angle_to_matrix(hand.hands_mean.view(1, 15, 3)).expand(2, -1, 3, 3)
    torch.testing.assert_close(pred.hand_pose, fingers)
    assert torch.equal(pred.betas, torch.zeros(2, 10))
    assert pred.cam.tolist() == [[4, 0, 0]] * 2
    torch.testing.assert_close(
        pred.cam_t, torch.tensor([[0, 0, 2 * 5000 / (256 * 4)]] * 2)
    )
    vertices, joints = hand(turned, fingers, torch.zeros(2, 10))
    torch.testing.assert_close(pred.vertices, vertices)
    torch.testing.assert_close(pred.joints, joints)
    assert pred.joints.shape == (2, 21, 3)


def test_six_numbers_are_two_columns(hand):
    angle = 0.3
    six = [math.cos(angle), math.sin(angle), 0, -5.0, 2, 0]
    rest = [1.0, 0, 0, 0, 1, 0] * 15
    pred = predict_mesh(
        hand,
        torch.tensor([six + rest]),
        torch.zeros(1, 10),
        torch.tensor([[4.0, 0, 0]]),
    )
    expected = axis_angle_to_matrix(torch.tensor([0, 0, angle]))
    torch.testing.assert_close(pred.global_orient[0, 0], expected)
    torch.testing.assert_close(pred.hand_pose[0], torch.eye(3).expand(15, 3, 3))


def test_a_camera_of_5000_pixels_sees_the_keypoints(hand):
    torch.manual_seed(0)
    cam = torch.tensor([[6.0, 0.02, -0.03]])
    pred = predict_mesh(hand, torch.randn(1, 96), torch.randn(1, 10), cam)
    depth = 2 * 5000 / (256 * 6)
    x, y, z = (pred.joints[0] + torch.tensor([0.02, -0.03, depth])).T.numpy()
    pixels = np.stack([5000 * x / z + 128, 5000 * y / z + 128], -1)
    np.testing.assert_allclose(
        (pred.keypoints[0].numpy() + 0.5) * 256, pixels, atol=1e-3
    )


def test_no_checkpoint_carries_the_hand_model(hand):
    assert {key.partition('.')[0] for key in MeshRegressor(8, hand).state_dict()} == {
        'pose',
        'betas',
        'cam',
    }


def test_it_begins_close_to_the_mean_hand(hand):
    torch.manual_seed(0)
    regressor = MeshRegressor(512, hand)
    pose, betas, _ = regressor(torch.randn(4, 512))
    assert 0 < (pose - regressor.mean_pose).abs().max() < 0.1
    assert betas.abs().max() < 0.1


def test_autocast_rounds_nothing(hand):
    torch.manual_seed(0)
    regressor = MeshRegressor(8, hand)
    features = torch.randn(2, 8)
    exact = predict_mesh(hand, *regressor(features))
    with torch.autocast('cpu', torch.bfloat16):
        cast = predict_mesh(hand, *regressor(features))
    for one, other in zip(exact, cast, strict=True):
        assert other.dtype == torch.float32
        assert torch.equal(one, other)
