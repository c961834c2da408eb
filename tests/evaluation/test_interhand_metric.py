import numpy as np
import pytest
from mmpose.evaluation.metrics import InterHandMetric

import mmssm.registry  # noqa: F401
from mmssm.registry import METRICS

FOCAL, CENTER = np.array([1200.0, 1250.0]), np.array([170.0, 250.0])
RIGHT, LEFT, BOTH = [1, 0], [0, 1], [1, 1]


def hands(seed):
    """42 joints in front of a camera, millimetres."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, 42, 3)) * 40 + [20, -10, 900]


def sample(gt, hand_type, moved=None, rel_root_error=0.0, visible=None, said=None):
    """A prediction as InterNet makes it, of joints moved from the true ones."""
    moved = gt if moved is None else moved
    pixels = moved[..., :2] / moved[..., 2:] * FOCAL + CENTER
    roots = np.repeat(moved[:, [20, 41], 2], 21, -1)
    pred = np.concatenate([pixels, (moved[..., 2] - roots)[..., None]], -1)
    visible = np.ones((1, 42)) if visible is None else visible
    return dict(
        pred_instances=dict(
            keypoints=pred,
            rel_root_depth=moved[0, 41, 2]
            - moved[0, 20, 2]
            + np.array([rel_root_error]),
            hand_type=np.array([hand_type if said is None else said]),
        ),
        gt_instances=dict(keypoints_cam=gt, keypoints_visible=visible),
        hand_type=np.array([hand_type]),
        hand_type_valid=np.array([1]),
        abs_depth=[moved[0, 20, 2], moved[0, 41, 2]],
        focal=FOCAL,
        principal_pt=CENTER,
    )


def evaluate(samples, kind='mmssm.InterHand3DMetric', **arguments):
    metric = METRICS.build(dict(type=kind, **arguments))
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_a_perfect_prediction_has_no_error():
    found = evaluate([sample(hands(0), RIGHT), sample(hands(1), BOTH)])
    assert found['HandednessAcc'] == 1
    for name in ('MPJPE_all', 'MPJPE_single', 'MPJPE_interacting', 'MRRPE'):
        assert found[name] == pytest.approx(0, abs=1e-3), name


def test_errors_of_known_sizes():
    gt = hands(0)
    moved = gt.copy()
    moved[0, 3] += [3, 4, 0]
    moved[0, 25] += [0, 0, 10]
    found = evaluate(
        [sample(gt, BOTH, moved), sample(hands(1), LEFT, said=RIGHT)],
    )
    assert found['MPJPE_interacting'] == pytest.approx(15 / 42, abs=1e-4)
    assert found['MPJPE_single'] == pytest.approx(0, abs=1e-4)
    assert found['MPJPE_all'] == pytest.approx(7.5 / 42, abs=1e-4)
    assert found['HandednessAcc'] == 0.5


def test_distance_of_the_wrists_is_off_by_the_predicted_depth():
    gt = hands(0)
    found = evaluate([sample(gt, BOTH, rel_root_error=12.0)], modes=['MRRPE'])
    ray = np.append((gt[0, 41, :2] / gt[0, 41, 2]), 1)
    assert found == {'MRRPE': pytest.approx(12 * np.linalg.norm(ray), rel=1e-4)}


def test_each_joint_counts_alike_unlike_in_the_host():
    """Joint 3 is seen in one frame of two, and off by 42 mm."""
    gt = hands(0)
    moved = gt.copy()
    moved[0, 3] += [0, 0, 42]
    hidden = np.ones((1, 42))
    hidden[0, 3] = 0
    samples = [sample(gt, BOTH, moved), sample(gt, BOTH, moved, visible=hidden)]
    assert evaluate(samples)['MPJPE_all'] == pytest.approx(1.0, abs=1e-4)
    pooled = evaluate(samples, 'InterHandMetric')
    assert pooled['MPJPE_all'] == pytest.approx(42 / 83, abs=1e-4)


def test_what_was_not_measured_is_left_out():
    samples = [sample(hands(0), RIGHT)]
    assert evaluate(samples).keys() == {'MPJPE_all', 'MPJPE_single', 'HandednessAcc'}
    # the host's zero looks like a perfect score
    assert evaluate(samples, 'InterHandMetric')['MPJPE_interacting'] == 0
    with pytest.raises(ValueError, match='no joint is known'):
        evaluate([sample(hands(0), RIGHT, visible=np.zeros((1, 42)))], modes=['MPJPE'])


def test_predictions_that_are_no_numbers_are_refused():
    gt = hands(0)
    moved = gt.copy()
    moved[0, 5, 0] = np.nan
    with pytest.raises(ValueError, match='1 of 2 predictions are not finite'):
        evaluate([sample(gt, RIGHT), sample(gt, RIGHT, moved)])


def test_samples_are_taken_in_as_the_host_takes_them():
    from mmssm.evaluation import InterHand3DMetric

    assert InterHand3DMetric.process is InterHandMetric.process
