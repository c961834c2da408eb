import numpy as np
import pytest

import mmssm.registry  # noqa: F401 (cures MMPose's import)
from mmssm.geometry.cameras import camera_to_world, look_at, project, world_to_camera


def make_camera(rng):
    position = np.array([4, 0, 1.5]) + rng.normal(size=3)
    return {
        'R': look_at(position, rng.normal(size=3) * 0.2, 0.3),
        'T': position[:, None],
        'f': np.array([[1145.0], [1143.0]]),
        'c': np.array([[512.0], [515.0]]),
    }


def test_agrees_with_mmposes_camera():
    from mmpose.utils import SimpleCamera

    rng = np.random.default_rng(0)
    camera = make_camera(rng)
    theirs = SimpleCamera(camera)
    points = rng.normal(size=(5, 17, 3)) * 0.5
    in_camera = world_to_camera(points, camera['R'], camera['T'])
    np.testing.assert_allclose(in_camera, theirs.world_to_camera(points), atol=1e-5)
    np.testing.assert_allclose(
        project(in_camera, camera['f'], camera['c']),
        theirs.camera_to_pixel(in_camera),
        atol=1e-3,
    )
    np.testing.assert_allclose(
        camera_to_world(in_camera, camera['R'], camera['T']), points
    )


def test_look_at_puts_target_on_the_principal_point_and_up_above():
    position, target = np.array([3.0, -4.0, 1.6]), np.array([0.5, 0.2, 0.9])
    R = look_at(position, target)
    np.testing.assert_allclose(R.T @ R, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)
    seen = world_to_camera(target, R, position)
    np.testing.assert_allclose(
        seen, [0, 0, np.linalg.norm(target - position)], atol=1e-12
    )
    above = world_to_camera(target + np.array([0, 0, 0.1]), R, position)
    assert above[1] < 0
    assert above[0] == pytest.approx(0)


def test_roll_turns_the_image():
    position, target = np.array([3.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])
    above = target + np.array([0, 0, 1.0])
    turned = world_to_camera(above, look_at(position, target, np.pi / 2), position)
    # the camera's right side points down now, so up is left
    np.testing.assert_allclose(turned, [-1, 0, 3], atol=1e-12)


def test_a_hand_computed_pixel():
    pixel = project(np.array([0.5, -1.0, 5.0]), [1000, 1100], [500, 510])
    np.testing.assert_allclose(pixel, [600, 290])


def test_no_camera_looks_straight_down():
    with pytest.raises(ValueError, match='horizontal distance'):
        look_at(np.array([0.0, 0.0, 3.0]), np.zeros(3))


def test_points_behind_the_camera_are_refused():
    with pytest.raises(ValueError, match='in front of the camera'):
        project(np.array([[0.0, 0.0, -1.0]]), np.ones(2), np.zeros(2))
