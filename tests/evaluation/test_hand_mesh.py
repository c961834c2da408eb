import numpy as np
import pytest
from scipy.spatial.distance import cdist

import mmssm.registry  # noqa: F401
from mmssm.evaluation.functional import hand, hand_mesh


@pytest.fixture
def meshes():
    rng = np.random.default_rng(0)
    gt = rng.normal(size=(4, 120, 3)) * 0.04 + [0.1, -0.2, 0.7]
    return gt + rng.normal(size=gt.shape) * 0.01, gt


def official_f_score(gt, pr, th):
    """F-score of one mesh, all distances written out."""
    distances = cdist(gt, pr)
    d1, d2 = distances.min(1), distances.min(0)
    recall = float(sum(d < th for d in d2)) / len(d2)
    precision = float(sum(d < th for d in d1)) / len(d1)
    return 2 * recall * precision / (recall + precision) if recall + precision else 0


def test_f_scores_are_those_of_the_scripts(meshes):
    pred, gt = meshes
    thresholds = [0.002, 0.005, 0.015, 1e-5]
    expected = [
        [official_f_score(g, p, t) for t in thresholds]
        for g, p in zip(gt, pred[:, :90], strict=True)
    ]
    found = hand_mesh.f_scores(pred[:, :90], gt, thresholds)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert 0 < found[:, 1].mean() < found[:, 2].mean() < 1
    assert (found[:, 3] == 0).all()


def test_f_scores_of_a_known_cloud():
    """One of two true points is met, two of three predicted ones meet a true one."""
    gt = np.array([[[0, 0, 0], [1, 0, 0]]], float)
    pred = np.array([[[0, 0.25, 0], [0, 0, -0.25], [9, 0, 0]]])
    precision, recall = 1 / 2, 2 / 3
    expected = 2 * precision * recall / (precision + recall)
    assert hand_mesh.f_scores(pred, gt, [0.3]) == pytest.approx(expected)
    assert hand_mesh.f_scores(gt, pred, [0.3]) == pytest.approx(expected)


def test_a_point_at_the_very_threshold_does_not_count():
    gt = np.zeros((1, 1, 3))
    pred = np.array([[[0, 0, 0.25]]])
    assert hand_mesh.f_scores(pred, gt, [0.25]) == 0
    assert hand_mesh.f_scores(pred, gt, [np.nextafter(0.25, 1)]) == 1


def test_a_perfect_mesh_and_one_of_a_single_point(meshes):
    _, gt = meshes
    assert (hand_mesh.f_scores(gt, gt, [1e-9, 1.0]) == 1).all()
    point = np.repeat(gt[:, :1], 120, 1)
    found = hand_mesh.f_scores(point, gt, [1e-9])
    np.testing.assert_allclose(found, 2 / 121)


def test_one_mesh_that_is_not_finite_spoils_no_other(meshes):
    pred, gt = meshes
    whole = hand_mesh.f_scores(pred, gt, [0.005])
    bad = pred.copy()
    bad[1, 7, 2] = np.nan
    bad[2, 0] = np.inf
    found = hand_mesh.f_scores(bad, gt, [0.005])
    np.testing.assert_array_equal(np.isnan(found[:, 0]), [False, True, True, False])
    np.testing.assert_array_equal(found[[0, 3]], whole[[0, 3]])
    for align in (hand.official_align, hand.proper_align):
        errors = hand.joint_errors(align(bad, gt), gt)
        expected = hand.joint_errors(align(pred, gt), gt)
        assert np.isnan(errors[1:3]).all()
        np.testing.assert_array_equal(errors[[0, 3]], expected[[0, 3]])
        assert np.isnan(hand.mean_of_joints(errors))


def test_the_zero_predictor_goes_to_the_centre(meshes):
    """As in FreiHAND's own check: aligned, it has the error of the mean point."""
    _, gt = meshes
    zero = np.zeros_like(gt)
    distances = np.linalg.norm(gt - gt.mean(1, keepdims=True), axis=-1)
    for align in (hand.official_align, hand.proper_align):
        errors = hand.joint_errors(align(zero, gt), gt)
        np.testing.assert_allclose(errors, distances, atol=1e-7)
    absolute = hand.joint_errors(zero, gt)
    np.testing.assert_allclose(absolute, np.linalg.norm(gt, axis=-1))
    aligned = hand.official_align(zero, gt)
    scores = hand_mesh.f_scores(aligned, gt, [0.005, 0.015])
    expected = [
        [official_f_score(g, a, t) for t in (0.005, 0.015)]
        for g, a in zip(gt, aligned, strict=True)
    ]
    np.testing.assert_allclose(scores, expected)
    assert scores.max() < 0.2


def test_large_sets_are_aligned_some_at_a_time(monkeypatch, meshes):
    from mmssm.geometry import procrustes

    whole = [align(*meshes) for align in (hand.official_align, hand.proper_align)]
    monkeypatch.setattr(procrustes, '_BLOCK', 130)
    parts = [align(*meshes) for align in (hand.official_align, hand.proper_align)]
    np.testing.assert_array_equal(parts, whole)


def align_sc_tr(gt, pred):
    """HO-3D's alignment of one pose, in its order of joints."""
    length = np.sqrt(np.sum(np.square(pred[4] - pred[0])))
    if length > 0:
        pred = pred / length
    pred = pred * np.sqrt(np.sum(np.square(gt[4] - gt[0])))
    return pred - pred[0:1] + gt[0:1]


def test_scale_and_translation_are_those_of_ho3d():
    from mmssm.structures.hand import reorder

    rng = np.random.default_rng(3)
    gt = rng.normal(size=(5, 21, 3))
    pred = gt @ np.diag([1, -1, -1]) * 3 + rng.normal(size=gt.shape)
    pred[2, 9] = pred[2, 0]
    native = [reorder(poses, 'op21', 'mano') for poses in (gt, pred)]
    expected = [align_sc_tr(g, p) for g, p in zip(*native, strict=True)]
    found = hand.scale_translation_align(pred, gt)
    np.testing.assert_allclose(reorder(found, 'op21', 'mano'), expected, atol=1e-12)
    np.testing.assert_allclose(found[:, 0], gt[:, 0], atol=1e-12)


def test_scale_and_translation_need_their_joints():
    poses = np.zeros((1, 5, 3))
    with pytest.raises(ValueError, match='5 joints, got 9'):
        hand.scale_translation_align(poses, poses)


def keypoint_pck(errors, known, sizes, threshold):
    """HaMeR's ratio of each joint, one joint and hand at a time."""
    ratios = []
    for joint in range(errors.shape[1]):
        hits = [
            error <= size * threshold
            for error, size, there in zip(
                errors[:, joint], sizes, known[:, joint], strict=True
            )
            if there
        ]
        ratios.append(np.mean(hits) if hits else np.nan)
    return ratios


def test_pck_of_boxes_is_a_ratio_of_each_joint():
    rng = np.random.default_rng(4)
    errors = rng.gamma(2, 5, size=(30, 21))
    sizes = rng.uniform(40, 300, 30)
    known = rng.random(errors.shape) < 0.5
    known[:, 3] = False
    thresholds = [0.05, 0.1, 0.15]
    found = hand.box_pck(errors, sizes, thresholds, known)
    expected = [keypoint_pck(errors, known, sizes, t) for t in thresholds]
    np.testing.assert_allclose(found, np.transpose(expected))


def test_pck_counts_the_very_threshold_and_no_nan():
    errors = np.array([[5.0, 5.01], [np.nan, 0.0]])
    found = hand.box_pck(errors, [100, 100], [0.05])
    np.testing.assert_array_equal(found, [[0.5], [0.5]])


def test_shapes_that_do_not_fit_are_named(meshes):
    pred, gt = meshes
    with pytest.raises(ValueError, match='shapes'):
        hand_mesh.f_scores(pred[:2], gt, [0.1])
    with pytest.raises(ValueError, match=r'\(x, y, z\)'):
        hand_mesh.f_scores(pred[..., :2], gt, [0.1])
    with pytest.raises(ValueError, match='meshes with points'):
        hand_mesh.f_scores(pred[:0], gt[:0], [0.1])
    with pytest.raises(ValueError, match='meshes with points'):
        hand_mesh.f_scores(pred[:, :0], gt, [0.1])
    with pytest.raises(ValueError, match='sizes must have shape'):
        hand.box_pck(np.zeros((2, 3)), [1.0], [0.1])
    with pytest.raises(ValueError, match='box 1 is 0'):
        hand.box_pck(np.zeros((2, 3)), [1.0, 0.0], [0.1])
