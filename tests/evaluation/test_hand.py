import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

import mmssm.registry  # noqa: F401
from mmssm.evaluation.functional import hand


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    gt = rng.normal(size=(5, 21, 3)) * 0.05 + [0.1, -0.2, 0.7]
    return gt + rng.normal(size=gt.shape) * 0.01, gt


def align_w_scale(gt, pred):
    """The official alignment, one pose at a time, by SciPy."""
    t1, t2 = gt.mean(0), pred.mean(0)
    a, b = gt - t1, pred - t2
    s1, s2 = np.linalg.norm(a) + 1e-8, np.linalg.norm(b) + 1e-8
    turn, scale = orthogonal_procrustes(a / s1, b / s2)
    return (b / s2) @ turn.T * scale * s1 + t1


def official_measures(errors, mask, low, high):
    """Mean, AUC and curve as the official scripts gather them, joint by joint."""
    thresholds = np.linspace(low, high, 100)
    norm = np.trapezoid(np.ones_like(thresholds), thresholds)
    means, areas = [], []
    for joint in range(errors.shape[1]):
        data = errors[mask[:, joint], joint]
        if len(data) == 0:
            continue
        means.append(np.mean(data))
        curve = [np.mean((data <= t).astype(float)) for t in thresholds]
        areas.append(np.trapezoid(curve, thresholds) / norm)
    return np.mean(means), np.mean(areas)


def test_absolute_and_root_relative_errors_of_a_known_pose():
    gt = np.zeros((1, 3, 3))
    pred = np.array([[[0, 0, 10], [3, 4, 10], [0, 0, 22]]], float)
    np.testing.assert_allclose(
        hand.joint_errors(pred, gt), [[10, np.sqrt(125), 22]], rtol=1e-12
    )
    np.testing.assert_allclose(hand.root_relative_errors(pred, gt, 0), [[0, 5, 12]])
    np.testing.assert_allclose(
        hand.root_relative_errors(pred, gt, 1), [[5, 0, 13]], rtol=1e-12
    )


def test_official_alignment_is_that_of_the_scripts(poses):
    pred, gt = poses
    mirrored = pred * [-1, 1, 1]
    for moved in (pred, mirrored):
        expected = [align_w_scale(g, p) for g, p in zip(gt, moved, strict=True)]
        np.testing.assert_allclose(
            hand.official_align(moved, gt), expected, rtol=0, atol=1e-12
        )


def test_both_alignments_undo_a_similarity(poses):
    _, gt = poses
    turn = Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix()
    moved = 3.0 * gt @ turn + [1, 2, 3]
    for align in (hand.official_align, hand.proper_align):
        np.testing.assert_allclose(align(moved, gt), gt, rtol=0, atol=1e-7)


def test_only_the_official_alignment_undoes_a_mirror(poses):
    _, gt = poses
    mirrored = gt * [-1, 1, 1]
    np.testing.assert_allclose(hand.official_align(mirrored, gt), gt, rtol=0, atol=1e-7)
    assert hand.joint_errors(hand.proper_align(mirrored, gt), gt).mean() > 0.01


def test_unknown_joints_do_not_take_part_in_an_alignment(poses):
    pred, gt = poses
    mask = np.ones(gt.shape[:2], bool)
    mask[:, 4] = False
    spoiled = gt.copy()
    spoiled[:, 4] = 100.0
    for align in (hand.official_align, hand.proper_align):
        one, other = align(pred, gt, mask), align(pred, spoiled, mask)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    kept = np.delete(np.arange(21), 4)
    np.testing.assert_allclose(
        hand.official_align(pred, gt, mask)[:, kept],
        hand.official_align(pred[:, kept], gt[:, kept]),
        rtol=0,
        atol=1e-12,
    )


def test_a_prediction_of_one_point_goes_to_the_centre(poses):
    _, gt = poses
    aligned = hand.official_align(np.zeros_like(gt), gt)
    np.testing.assert_allclose(aligned, gt.mean(1, keepdims=True) + 0 * gt, atol=1e-7)


def test_means_over_joints_and_over_everything():
    errors = np.array([[1.0, 10.0, 7.0], [3.0, 99.0, 9.0]])
    mask = np.array([[True, True, False], [True, False, False]])
    np.testing.assert_allclose(hand.per_joint(errors, mask), [2, 10, np.nan])
    assert hand.mean_of_joints(errors, mask) == 6.0
    assert hand.pooled_mean(errors, mask) == pytest.approx(14 / 3)
    assert hand.mean_of_joints(errors) == hand.pooled_mean(errors)
    assert np.isnan(hand.mean_of_joints(errors, 0 * mask))
    assert np.isnan(hand.pooled_mean(errors, 0 * mask))


@pytest.mark.parametrize(
    ('error', 'area'),
    [
        (0.0, 1.0),
        (50 / 99, 98.5 / 99),
        (50.0, 0.5 / 99),
        (50.1, 0.0),
        (17.8, (99.5 - 36) / 99),
    ],
)
def test_auc_of_one_error_is_a_step(error, area):
    """Thresholds are 50 i / 99: a step at the i-th has the area (99.5 - i) / 99."""
    errors = np.full((4, 2), error)
    assert hand.pck_auc(errors, 0, 50) == pytest.approx(area, abs=1e-12)


def test_a_range_that_begins_at_20_hides_small_errors():
    errors = np.array([[5.0], [35.0], [60.0]])
    # one joint: a third of the frames from the start, another from 35 on
    thresholds = np.linspace(20, 50, 100)
    first = int((thresholds < 35).sum())
    expected = 1 / 3 + (99.5 - first) / 99 / 3
    assert hand.pck_auc(errors, 20, 50) == pytest.approx(expected)
    assert hand.pck_auc(np.full((1, 1), 19.0), 20, 50) == 1.0
    assert hand.pck_auc(np.full((1, 1), 19.0), 0, 50) < 0.63


def test_a_joint_at_the_very_threshold_counts():
    errors = np.array([[10.0, 20.0], [30.0, 20.0]])
    curve = hand.pck_curve(errors, np.array([5.0, 10.0, 20.0, 30.0]))
    np.testing.assert_array_equal(curve, [[0, 0.5, 0.5, 1], [0, 0, 1, 1]])


def test_mean_and_auc_are_those_of_the_official_scripts():
    rng = np.random.default_rng(1)
    errors = rng.gamma(2.0, 10.0, size=(40, 6))
    mask = rng.random(errors.shape) < 0.6
    mask[:, 2] = False
    for low, high in ((0, 50), (20, 50)):
        mean, area = official_measures(errors, mask, low, high)
        assert hand.mean_of_joints(errors, mask) == pytest.approx(mean, rel=1e-12)
        assert hand.pck_auc(errors, low, high, mask) == pytest.approx(area, rel=1e-12)


def test_frames_count_by_their_worst_joint():
    errors = np.array([[1.0, 9.0], [2.0, 3.0], [50.0, 60.0]])
    mask = np.array([[True, False], [True, True], [False, False]])
    np.testing.assert_array_equal(
        hand.frames_within(errors, np.array([0, 1, 3]), mask), [0, 0.5, 1]
    )
    with pytest.raises(ValueError, match='no frame'):
        hand.frames_within(errors, np.array([1]), 0 * mask)


def test_shapes_that_do_not_fit_are_named(poses):
    pred, gt = poses
    with pytest.raises(ValueError, match=r'\(5, 20, 3\)'):
        hand.joint_errors(pred[:, :20], gt)
    with pytest.raises(ValueError, match='root_index'):
        hand.root_relative_errors(pred, gt, 21)
    with pytest.raises(ValueError, match='mask'):
        hand.official_align(pred, gt, np.ones((5, 20)))
    with pytest.raises(ValueError, match='mask'):
        hand.pck_auc(np.zeros((3, 2)), 0, 50, np.ones((3, 3)))
    with pytest.raises(ValueError, match='errors'):
        hand.mean_of_joints(np.zeros(3))


@pytest.mark.parametrize(('low', 'high', 'steps'), [(50, 20, 9), (-1, 5, 9), (0, 5, 1)])
def test_an_empty_range_is_refused(low, high, steps):
    with pytest.raises(ValueError, match='low < high'):
        hand.auc_thresholds(low, high, steps)
