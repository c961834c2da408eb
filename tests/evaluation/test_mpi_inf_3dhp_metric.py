import numpy as np
import pytest
from mmpose.registry import METRICS

import mmssm.registry  # noqa: F401
from mmssm.evaluation import MpiInf3dhpMetric, functional
from mmssm.structures.mpi_inf_3dhp import EVALUATED


def sample(sequence, pred, gt, visible=None, first=1):
    visible = np.ones(gt.shape[:2]) if visible is None else visible
    return {
        'pred_instances': {'keypoints': pred},
        'gt_instances': {'lifting_target': gt, 'lifting_target_visible': visible},
        'target_img_path': [
            f'{sequence}_{first + frame:06d}.jpg' for frame in range(len(gt))
        ],
    }


def off_by(sequence, millimetres, **kwargs):
    """A sample whose joints, in each frame, are off by so much, the root by none."""
    millimetres = np.asarray(millimetres, float)
    gt = np.zeros((*millimetres.shape, 3))
    pred = gt.copy()
    pred[..., 1] = millimetres / 1000
    pred[:, 0] = 0
    return sample(sequence, pred, gt, **kwargs)


def evaluate(samples, **kwargs):
    metric = MpiInf3dhpMetric(**kwargs)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def official(error):
    """Overall PCK and AUC by the definition: a curve per sequence, weighted."""
    thresholds = np.arange(0, 151, 5)
    curves, weights = [], []
    for joints in error.values():
        joints = joints[:, list(EVALUATED)]
        curves.append([(joints < threshold).mean() for threshold in thresholds])
        weights.append(len(joints))
    curve = np.average(curves, 0, weights)
    return 100 * curve[-1], 100 * curve.mean()


def test_is_built_by_name():
    assert isinstance(
        METRICS.build({'type': 'mmssm.MpiInf3dhpMetric'}), MpiInf3dhpMetric
    )


@pytest.mark.parametrize(
    ('millimetres', 'pck', 'auc'),
    [
        (0, 100, 100 * 30 / 31),  # nothing is nearer than 0 mm
        (2.5, 100, 100 * 30 / 31),
        (72.5, 100, 100 * 16 / 31),  # 75, 80, ... 150
        (149, 100, 100 / 31),
        (151, 0, 0),
    ],
)
def test_closed_forms(millimetres, pck, auc):
    result = evaluate([off_by('TS1', np.full((3, 17), millimetres))])
    assert result['PCK@150'] == pytest.approx(pck)
    assert result['AUC'] == pytest.approx(auc)
    assert result['MPJPE'] == pytest.approx(millimetres * 16 / 17)


@pytest.mark.parametrize(('distance', 'inside'), [(0.15, 0), (0.1499, 1)])
def test_a_joint_at_the_threshold_is_not_counted(distance, inside):
    gt = np.zeros((1, 1, 3))
    pred = np.array([[[distance, 0, 0]]])
    assert functional.pck(pred, gt)[0] == inside


def test_fourteen_joints_count_for_pck_and_seventeen_for_mpjpe():
    millimetres = np.zeros((1, 17))
    millimetres[:, [7, 9]] = 1000  # spine and head, in Human3.6M's order
    result = evaluate([off_by('TS1', millimetres)])
    assert result['PCK@150'] == 100
    assert result['MPJPE'] == pytest.approx(2000 / 17)
    millimetres[:, [10, 16]] = 1000  # the head's top and a wrist
    result = evaluate([off_by('TS1', millimetres)])
    assert result['PCK@150'] == pytest.approx(100 * 12 / 14)


def test_sequences_and_their_weights_are_the_official_ones():
    rng = np.random.default_rng(0)
    error = {
        name: rng.uniform(0, 300, (frames, 17))
        for name, frames in (('TS1', 7), ('TS2', 40), ('TS6', 3))
    }
    samples = [
        off_by(name, part, first=first)
        for name, millimetres in error.items()
        for first, part in enumerate(np.array_split(millimetres, 3), 1)
    ]
    result = evaluate(samples, errors=['MPJPE'])
    pck, auc = official(error)
    assert result['PCK@150'] == pytest.approx(pck)
    assert result['AUC'] == pytest.approx(auc)
    everything = np.concatenate(list(error.values()))[:, 1:]
    assert result['MPJPE'] == pytest.approx(everything.sum(1).mean() / 17)
    for name, millimetres in error.items():
        pck, auc = official({name: millimetres})
        assert result[f'PCK@150_{name}'] == pytest.approx(pck)
        assert result[f'AUC_{name}'] == pytest.approx(auc)
        assert result[f'MPJPE_{name}'] == pytest.approx(
            millimetres[:, 1:].sum(1).mean() / 17
        )
    assert set(result) == {
        f'{metric}{end}'
        for metric in ('MPJPE', 'PCK@150', 'AUC')
        for end in ('', '_TS1', '_TS2', '_TS6')
    }


def test_only_the_centre_of_a_window_counts():
    millimetres = np.full((5, 17), 1000.0)
    millimetres[2] = 20
    visible = np.zeros((5, 17))
    visible[2] = 1
    result = evaluate([off_by('TS1', millimetres, visible=visible)])
    assert result['MPJPE'] == pytest.approx(20 * 16 / 17)
    assert result['PCK@150'] == 100


def test_nothing_to_evaluate_is_an_error():
    with pytest.raises(ValueError, match='no frame to evaluate'):
        evaluate([off_by('TS1', np.ones((2, 17)), visible=np.zeros((2, 17)))])
