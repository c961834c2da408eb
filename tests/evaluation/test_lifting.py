import numpy as np
import pytest
from mmpose.evaluation.functional import keypoint_mpjpe

from mmssm.evaluation.functional import (
    acceleration_error,
    mpjpe,
    n_mpjpe,
    p_mpjpe,
    velocity_error,
)

ALIGNMENT = {mpjpe: 'none', p_mpjpe: 'procrustes', n_mpjpe: 'scale'}


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    gt = rng.normal(size=(12, 17, 3))
    return gt + rng.normal(size=gt.shape) * 0.3, gt


def test_a_hand_computed_error():
    gt = np.zeros((2, 2, 3))
    pred = np.array([[[3, 4, 0], [0, 0, 1.0]], [[0, 0, 0], [0, 2, 0]]])
    np.testing.assert_allclose(mpjpe(pred, gt), [3, 1])


@pytest.mark.parametrize('error', ALIGNMENT)
def test_agrees_with_mmpose(error, poses):
    everything = np.ones(poses[0].shape[:2], bool)
    assert error(*poses).mean() == pytest.approx(
        keypoint_mpjpe(*poses, everything, ALIGNMENT[error])
    )


def test_masked_error_agrees_with_mmpose(poses):
    mask = np.random.default_rng(1).random(poses[0].shape[:2]) < 0.7
    per_frame = mpjpe(*poses, mask)
    assert (per_frame * mask.sum(1)).sum() / mask.sum() == pytest.approx(
        keypoint_mpjpe(*poses, mask)
    )


@pytest.mark.parametrize('error', ALIGNMENT)
def test_masked_joints_do_not_matter(error, poses):
    pred, gt = poses
    mask = np.ones(pred.shape[:2], bool)
    mask[:, 3] = False
    moved = pred.copy()
    moved[:, 3] += 100
    np.testing.assert_allclose(error(moved, gt, mask), error(pred, gt, mask))
    kept = np.delete(pred, 3, 1), np.delete(gt, 3, 1)
    np.testing.assert_allclose(error(pred, gt, mask), error(*kept))


@pytest.mark.parametrize('error', ALIGNMENT)
def test_a_frame_without_joints_has_no_error(error, poses):
    mask = np.ones(poses[0].shape[:2], bool)
    mask[4] = False
    result = error(*poses, mask)
    assert np.isnan(result[4])
    assert np.isfinite(np.delete(result, 4)).all()


def test_invariances(poses):
    pred, gt = poses
    np.testing.assert_allclose(n_mpjpe(3 * pred, gt), n_mpjpe(pred, gt))
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(
        p_mpjpe(0.2 * pred @ turn + 5, gt), p_mpjpe(pred, gt), atol=1e-12
    )
    np.testing.assert_allclose(n_mpjpe(2 * gt, gt), 0, atol=1e-12)
    # in the unit of the input
    np.testing.assert_allclose(p_mpjpe(1000 * pred, 1000 * gt), 1000 * p_mpjpe(*poses))


def test_motion_errors_of_a_parabola():
    time = np.arange(6.0)[:, None, None]
    direction = np.array([[[0.6, 0.8, 0]], [[0, 0, 1]]]).transpose(1, 0, 2)
    gt = np.zeros((6, 2, 3))
    np.testing.assert_allclose(velocity_error(5 + 2 * time * direction, gt), 2)
    np.testing.assert_allclose(acceleration_error(time * direction, gt), 0, atol=1e-12)
    np.testing.assert_allclose(acceleration_error(1.5 * time**2 * direction, gt), 3)
    assert velocity_error(gt[:1], gt[:1]).shape == (0,)


def test_a_step_counts_if_both_ends_do(poses):
    mask = np.ones(poses[0].shape[:2], bool)
    mask[5] = False
    steps = velocity_error(*poses, mask)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(steps)), [4, 5])
    bends = acceleration_error(*poses, mask)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(bends)), [3, 4, 5])


def test_wrong_shapes_are_named(poses):
    pred, gt = poses
    with pytest.raises(ValueError, match=r'\(N, K, 3\)'):
        mpjpe(pred[:, :16], gt)
    with pytest.raises(ValueError, match='mask must have shape'):
        p_mpjpe(pred, gt, np.ones((12, 16), bool))
