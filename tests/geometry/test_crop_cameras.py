"""Cameras of crops and of the whole image, and means of rotations."""

import numpy as np
import pytest
import roma
import torch

from mmssm.geometry.cameras import (
    CROP_FOCAL,
    CROP_SIZE,
    full_image_translation,
    project,
    project_to_crop,
    weak_perspective_translation,
)
from mmssm.geometry.rotations import mean_rotation

F64 = torch.float64


def test_the_translation_is_that_of_the_formula():
    cam = torch.tensor([[4.0, 0.02, -0.03]], dtype=F64)
    expected = torch.tensor([[0.02, -0.03, 2 * 5000 / (256 * 4)]], dtype=F64)
    torch.testing.assert_close(weak_perspective_translation(cam), expected)
    half = weak_perspective_translation(cam, focal=CROP_FOCAL / 2, size=CROP_SIZE / 2)
    torch.testing.assert_close(half, expected)


def test_a_point_at_the_hands_centre_is_where_weak_perspective_puts_it():
    cam = torch.tensor([[5.0, 0.04, -0.01]], dtype=F64)
    origin = torch.zeros(1, 1, 3, dtype=F64)
    found = project_to_crop(origin, weak_perspective_translation(cam))
    torch.testing.assert_close(found[0], 5 / 2 * cam[:, 1:])


def test_the_crops_projection_differentiates():
    cam = torch.tensor([[5.0, 0.04, -0.01]], dtype=F64, requires_grad=True)
    points = torch.randn(1, 4, 3, dtype=F64) * 0.05
    assert torch.autograd.gradcheck(
        lambda c: project_to_crop(points, weak_perspective_translation(c)), cam
    )


@pytest.mark.parametrize('focal', [(800.0, 800.0), (620.0, 640.0)])
def test_crop_and_image_see_the_hand_at_one_place(focal):
    rng = np.random.default_rng(0)
    points = rng.normal(0, 0.03, (1, 21, 3))
    cam = torch.tensor([[5.0, 0.01, -0.02]], dtype=F64)
    center, side = torch.tensor([[333.0, 236.0]], dtype=F64), torch.tensor([60.0])
    principal = torch.tensor([[320.0, 240.0]], dtype=F64)
    in_crop = project_to_crop(
        torch.from_numpy(points), weak_perspective_translation(cam)
    )
    seen = in_crop * side + center
    placed = full_image_translation(
        cam, center, side.double(), torch.tensor([focal], dtype=F64), principal
    )
    pixels = project(points + placed.numpy(), np.array(focal), principal.numpy())
    # Small boxes: perspective adds little. Unequal focal lengths stretch the image,
    # which the crop's camera cannot say.
    aspect = abs(focal[0] / focal[1] - 1) * 30
    assert np.abs(pixels - seen.numpy()).max() < 0.6 + aspect


def test_in_a_perfect_view_of_the_whole_image_both_cameras_are_one():
    cam = torch.tensor([[6.0, 0.03, -0.02]], dtype=F64)
    side = torch.tensor([256.0], dtype=F64)
    center = torch.tensor([[128.0, 128.0]], dtype=F64)
    focal = torch.full((1, 2), CROP_FOCAL, dtype=F64)
    torch.testing.assert_close(
        full_image_translation(cam, center, side, focal, center),
        weak_perspective_translation(cam),
    )


def test_the_image_formula_is_hamers():
    s, tx, ty, b, f, (cx, cy), (W, H) = (
        4.0,
        0.1,
        0.2,
        80.0,
        900.0,
        (70, 300),
        (640, 480),
    )
    found = full_image_translation(
        torch.tensor([s, tx, ty], dtype=F64),
        torch.tensor([cx, cy], dtype=F64),
        torch.tensor(b, dtype=F64),
        torch.tensor([f, f], dtype=F64),
        torch.tensor([W / 2, H / 2], dtype=F64),
    )
    expected = [
        tx + 2 * (cx - W / 2) / (b * s),
        ty + 2 * (cy - H / 2) / (b * s),
        2 * f / (b * s),
    ]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=F64))


def test_the_mean_of_rotations_about_one_axis_is_the_mean_angle():
    angles = torch.tensor([-0.9, 0.2, 1.0], dtype=F64)
    axis = torch.nn.functional.normalize(
        torch.tensor([1.0, -2.0, 0.5], dtype=F64), dim=0
    )
    turns = roma.rotvec_to_rotmat(angles[:, None] * axis)
    found = roma.rotmat_to_rotvec(mean_rotation(turns))
    mean = torch.atan2(angles.sin().sum(), angles.cos().sum())
    torch.testing.assert_close(found, mean * axis)


def test_the_mean_of_rotations_is_a_rotation_and_turns_along():
    torch.manual_seed(0)
    turns = roma.random_rotmat((4, 7)).double()
    other = roma.random_rotmat().double()
    mean = mean_rotation(turns, 1)
    assert mean.shape == (4, 3, 3) and bool(roma.is_rotation_matrix(mean, 1e-6))
    torch.testing.assert_close(mean_rotation(other @ turns, 1), other @ mean)
    torch.testing.assert_close(mean_rotation(turns[:, :1], 1), turns[:, 0])
