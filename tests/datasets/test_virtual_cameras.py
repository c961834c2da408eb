import numpy as np
import pytest

from mmssm.datasets import virtual_cameras
from mmssm.datasets.virtual_cameras import clearance, draw_camera, fixed_camera
from mmssm.geometry.cameras import project, world_to_camera


@pytest.mark.parametrize('index', range(4))
def test_fixed_cameras_see_the_stage_upright(index):
    camera = fixed_camera(index)
    stage = np.array([[0, 0, 0.9], [0, 0, 1.8], [1.5, 0, 0], [0, -1.5, 0]])
    seen = world_to_camera(stage, camera['R'], camera['T'])
    pixels = project(seen, camera['f'], camera['c'])
    np.testing.assert_allclose(pixels[0], [500, 500], atol=0.01)
    assert pixels[1, 1] < 400
    assert ((pixels > 0) & (pixels < 1000)).all()
    assert 4 < seen[0, 2] < 6


def test_fixed_cameras_look_from_all_sides():
    azimuths = np.sort([azimuth % 360 for azimuth, *_ in virtual_cameras.FIXED])
    assert np.diff(azimuths).min() > 60


def test_drawn_cameras_keep_their_ranges_and_see_the_actor():
    rng = np.random.default_rng(0)
    center = np.array([2.0, -1.0, 0.9])
    for _ in range(300):
        camera = draw_camera(rng, center)
        ground = np.linalg.norm(camera['T'][:2, 0] - center[:2])
        assert 3 <= ground <= 6.0001
        assert 1 <= camera['T'][2, 0] <= 2.2
        seen = world_to_camera(center, camera['R'], camera['T'])
        pixel = project(seen, camera['f'], camera['c'])
        assert ((pixel > 200) & (pixel < 800)).all()


def test_a_camera_has_the_form_of_human36m():
    camera = fixed_camera(0)
    shapes = {key: np.shape(value) for key, value in camera.items()}
    assert shapes == {
        'R': (3, 3),
        'T': (3, 1),
        'f': (2, 1),
        'c': (2, 1),
        'k': (3, 1),
        'p': (2, 1),
        'w': (),
        'h': (),
    }


def test_wide_motions_put_the_cameras_farther_off():
    center = np.array([1.0, 2.0, 0.9])
    joints = np.tile(center, (4, 17, 1))
    joints[2, 5] += [3.0, 4.0, 9.0]
    assert clearance(joints, center, room=2.0) == pytest.approx(3)
    assert clearance(joints, center, room=5.5) == 0
    near, far = fixed_camera(1), fixed_camera(1, extra=3.0)
    grounds = [np.linalg.norm(camera['T'][:2]) for camera in (near, far)]
    assert grounds[1] - grounds[0] == pytest.approx(3, abs=1e-5)
    drawn = [draw_camera(np.random.default_rng(0), center, e)['T'] for e in (0, 3.0)]
    ways = [np.linalg.norm(place[:2, 0] - center[:2]) for place in drawn]
    assert ways[1] - ways[0] == pytest.approx(3, abs=1e-5)
