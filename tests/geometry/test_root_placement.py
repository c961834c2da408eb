import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmssm.datasets.mocap_clips import load_mocap_clips, mocap_file
from mmssm.geometry.root_placement import (
    BONES_PER_STATURE,
    place_roots,
    stature_scale,
)
from mmssm.structures import h36m

FOCAL, CENTER = 1100.0, (480.0, 270.0)


@pytest.fixture(scope='module')
def walking():
    """A walk in the camera's frame, 4 to 6 m away: roots and relative joints."""
    world = load_mocap_clips(mocap_file())['walk'].joints
    camera = np.stack([world[..., 1], -world[..., 2], -world[..., 0]], axis=-1)
    camera += [0.3, 1.0, 5.0]
    roots = camera[:, h36m.ROOT]
    return roots, camera - roots[:, None]


def project(joints):
    """Pixels of joints before the camera."""
    return joints[..., :2] / joints[..., 2:] * FOCAL + CENTER


def test_scaled_projections_are_placed_exactly(walking):
    """All joints as far away as their mean: what weak perspective means."""
    roots, joints = walking
    depth = (roots[:, None] + joints)[..., 2].mean(1)
    pixels = (roots[:, None] + joints)[..., :2] / depth[:, None, None] * FOCAL + CENTER
    found = place_roots(joints, pixels, np.ones(joints.shape[:2]), FOCAL, CENTER)
    assert_allclose(found, roots, atol=1e-6)


def test_real_projections_are_placed_nearly(walking):
    roots, joints = walking
    pixels = project(roots[:, None] + joints)
    found = place_roots(joints, pixels, np.ones(joints.shape[:2]), FOCAL, CENTER)
    assert np.abs(found - roots)[:, :2].max() < 0.05
    assert np.abs(found / roots - 1)[:, 2].max() < 0.05


def test_joints_without_confidence_do_not_count(walking):
    roots, joints = walking
    pixels = project(roots[:, None] + joints)
    weights = np.ones(joints.shape[:2])
    weights[:, 5] = 0
    expected = place_roots(joints, pixels, weights, FOCAL, CENTER)
    pixels[:, 5] = np.nan
    assert_allclose(place_roots(joints, pixels, weights, FOCAL, CENTER), expected)
    weights[:, 5] = 1  # missing all the same
    assert_allclose(place_roots(joints, pixels, weights, FOCAL, CENTER), expected)


def test_twice_the_focal_length_is_twice_as_far(walking):
    roots, joints = walking
    pixels = project(roots[:, None] + joints)
    weights = np.ones(joints.shape[:2])
    near, far = (
        place_roots(joints, pixels, weights, focal, CENTER)[:, 2]
        for focal in (FOCAL, 2 * FOCAL)
    )
    assert np.median(far / near) == pytest.approx(2, rel=0.02)


def test_what_fits_nothing_is_not_placed(walking):
    roots, joints = walking
    pixels = project(roots[:, None] + joints)
    weights = np.ones(joints.shape[:2])
    weights[0, 1:] = 0  # one joint tells no size
    pixels[1] = 2 * pixels[1].mean(0) - pixels[1]  # upside down: behind the camera
    pixels[2] = CENTER  # no size
    found = place_roots(joints, pixels, weights, FOCAL, CENTER)
    assert np.isnan(found[:3]).all()
    assert np.isfinite(found[3:]).all()


def test_people_become_as_tall_as_asked_for(walking):
    _, joints = walking
    nearing = np.exp(np.linspace(0, 0.5, len(joints)))[:, None, None]
    scale = stature_scale(1000 * joints * nearing, h36m.SKELETON, 1.58)
    bones = np.array(h36m.SKELETON)
    scaled = 1000 * joints * nearing * scale[:, None, None]
    total = np.linalg.norm(scaled[:, bones[:, 1]] - scaled[:, bones[:, 0]], axis=-1)
    # the actor's bones do not change; the average looks to one side at the ends
    assert_allclose(total.sum(1)[13:-13], 1.58 * BONES_PER_STATURE, rtol=1e-3)
    assert_allclose(total.sum(1), 1.58 * BONES_PER_STATURE, rtol=0.05)


def test_frames_can_be_scaled_each_for_itself(walking):
    _, joints = walking
    nearing = np.exp(np.linspace(0, 0.5, len(joints)))[:, None, None]
    scale = stature_scale(joints * nearing, h36m.SKELETON, 1.58, smoothing=0)
    assert_allclose(scale * nearing[:, 0, 0], 1, rtol=1e-3)


def test_long_sequences_are_scaled_in_little_memory():
    joints = np.random.default_rng(0).normal(size=(20_000, 17, 3))
    tracemalloc.start()
    scale = stature_scale(joints, h36m.SKELETON, 1.7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scale.shape == (20_000,) and peak < 2**26


def test_the_scale_of_one_frame_and_of_no_bones():
    assert stature_scale(np.zeros((2, 1, 17, 3)), h36m.SKELETON, 1.7).tolist() == [
        [1.0],
        [1.0],
    ]


def test_bones_per_stature_is_that_of_the_embedded_actor(walking):
    _, joints = walking
    bones = np.array(h36m.SKELETON)
    lengths = np.linalg.norm(joints[0, bones[:, 1]] - joints[0, bones[:, 0]], axis=-1)
    assert lengths.sum() / 1.58 == pytest.approx(BONES_PER_STATURE, abs=1e-3)
