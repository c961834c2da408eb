import numpy as np
import pytest

import mmssm.registry  # noqa: F401
from mmssm.evaluation import HandPoseMetric
from mmssm.evaluation.functional import hand
from mmssm.registry import METRICS

META = dict(
    root_index=1, keypoint_id2name={joint: f'joint{joint}' for joint in range(21)}
)


def sample(pred, gt, number=0, visible=None):
    visible = np.ones((1, len(gt))) if visible is None else visible
    return dict(
        img_id=number,
        img_path=f'{number:05d}.jpg',
        pred_instances=dict(keypoints=pred[None, :, :2] * 100, keypoints_3d=pred[None]),
        gt_instances=dict(keypoints_cam=gt[None], keypoints_visible=visible),
    )


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    gt = rng.normal(size=(6, 21, 3)) * 0.05 + [0.1, -0.2, 0.7]
    return gt + rng.normal(size=gt.shape) * 0.01, gt


def evaluate(samples, **arguments):
    metric = METRICS.build(dict(type='mmssm.HandPoseMetric', **arguments))
    metric.dataset_meta = META
    half = len(samples) // 2
    metric.process({}, samples[:half])
    metric.process({}, samples[half:])
    return metric.evaluate(len(samples))


def test_numbers_are_those_of_the_functions_in_millimetres(poses):
    pred, gt = poses
    errors = ['MPJPE', 'EPE', 'PA-MPJPE', 'PA-MPJPE-proper', 'MPJPE-abs', 'mean-error']
    samples = [sample(p, g, i) for i, (p, g) in enumerate(zip(*poses, strict=True))]
    found = evaluate(samples, errors=errors, auc_ranges=[(0, 50), (20, 50)])
    relative = 1000 * hand.root_relative_errors(pred, gt, 1)
    aligned = 1000 * hand.joint_errors(hand.official_align(pred, gt), gt)
    proper = 1000 * hand.joint_errors(hand.proper_align(pred, gt), gt)
    absolute = 1000 * hand.joint_errors(pred, gt)
    assert found['MPJPE'] == found['EPE'] == pytest.approx(relative.mean())
    assert found['PA-MPJPE'] == pytest.approx(aligned.mean())
    assert found['PA-MPJPE-proper'] == pytest.approx(proper.mean())
    assert found['MPJPE-abs'] == pytest.approx(absolute.mean())
    assert found['mean-error'] == pytest.approx(absolute.mean())
    for name, values in {
        'AUC': relative,
        'PA-AUC': aligned,
        'PA-AUC-proper': proper,
        'AUC-abs': absolute,
    }.items():
        for low, high in ((0, 50), (20, 50)):
            expected = 100 * hand.pck_auc(values, low, high)
            assert found[f'{name}_{low}-{high}'] == pytest.approx(expected)
    assert len(found) == 6 + 8


def test_joints_count_alike_however_often_they_are_seen():
    gt = np.zeros((21, 3))
    visible = np.ones((1, 21))
    hidden = np.zeros((1, 21))
    hidden[0, [1, 2]] = 1
    near, far = gt.copy(), gt.copy()
    near[2, 0], far[2, 0] = 0.010, 0.030
    found = evaluate(
        [sample(near, gt, 0, visible), sample(far, gt, 1, hidden)],
        errors=['MPJPE', 'mean-error'],
        per_joint=True,
    )
    assert found['MPJPE'] == pytest.approx(20 / 21)
    assert found['mean-error'] == pytest.approx(40 / 23)
    assert found['MPJPE_joint2'] == pytest.approx(20)
    assert found['MPJPE_joint3'] == 0


def test_a_hand_without_its_root_has_no_relative_error():
    gt = np.zeros((21, 3))
    no_root = np.ones((1, 21))
    no_root[0, 1] = 0
    far = gt + np.array([0, 0, 0.5])
    samples = [sample(gt, gt, 0), sample(far, gt, 1, no_root)]
    found = evaluate(samples, errors=['MPJPE', 'MPJPE-abs'])
    assert found['MPJPE'] == 0
    assert found['MPJPE-abs'] == pytest.approx(250 * 20 / 21)
    with pytest.raises(ValueError, match='no joint to evaluate MPJPE'):
        evaluate(samples[1:], errors=['MPJPE'])


def test_dexycb_file_has_a_line_a_sample_in_the_order_of_images(tmp_path, poses):
    pred = poses[0]
    samples = [
        sample(p, g, 10 - i) for i, (p, g) in enumerate(zip(*poses, strict=True))
    ]
    found = evaluate(
        samples,
        result_format='dexycb',
        outfile_prefix=str(tmp_path / 'out' / 'results'),
        format_only=True,
    )
    assert found == {}
    rows = np.loadtxt(tmp_path / 'out' / 'results.txt', delimiter=',')
    assert rows.shape == (6, 64)
    np.testing.assert_array_equal(rows[:, 0], [5, 6, 7, 8, 9, 10])
    np.testing.assert_allclose(
        rows[:, 1:].reshape(6, 21, 3), 1000 * pred[::-1], atol=1e-4
    )


def test_nyu_file_has_pixels_and_depth(tmp_path, poses):
    pred = poses[0]
    samples = [sample(p, g, i) for i, (p, g) in enumerate(zip(*poses, strict=True))]
    prefix = str(tmp_path / 'nyu')
    found = evaluate(samples, result_format='nyu', outfile_prefix=prefix)
    assert set(found) == {'MPJPE', 'PA-MPJPE', 'AUC_0-50', 'PA-AUC_0-50'}
    rows = np.loadtxt(tmp_path / 'nyu.txt').reshape(6, 21, 3)
    np.testing.assert_allclose(rows[..., :2], pred[..., :2] * 100, atol=1e-4)
    np.testing.assert_allclose(rows[..., 2], 1000 * pred[..., 2], atol=1e-4)


def test_two_samples_of_one_image_are_refused(tmp_path, poses):
    samples = [sample(p, g, 3) for p, g in zip(*poses, strict=True)]
    with pytest.raises(ValueError, match='6 samples are of 1 images'):
        evaluate(samples, result_format='dexycb', outfile_prefix=str(tmp_path / 'x'))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(errors=['MPJPE', 'nonsense']), 'nonsense'),
        (dict(errors='MPJPE'), 'list of names'),
        (dict(errors=[]), 'list of names'),
        (dict(auc_ranges=[(50, 20)]), 'low < high'),
        (dict(result_format='csv', outfile_prefix='x'), 'result_format must be'),
        (dict(result_format='dexycb'), 'needed together'),
        (dict(outfile_prefix='x'), 'needed together'),
        (dict(format_only=True), 'format_only needs'),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        HandPoseMetric(**arguments)


def test_predictions_that_cannot_be_measured_are_named(poses):
    pred, gt = poses
    bad = pred[0].copy()
    bad[3, 1] = np.nan
    metric = HandPoseMetric()
    with pytest.raises(ValueError, match=r'00007\.jpg is not finite'):
        metric.process({}, [sample(bad, gt[0], 7)])
    with pytest.raises(ValueError, match=r'00007\.jpg has shape \(1, 20, 3\)'):
        metric.process({}, [sample(pred[0, :20], gt[0], 7)])
    flat = sample(pred[0], gt[0], 7)
    del flat['pred_instances']['keypoints_3d']
    with pytest.raises(KeyError, match='TopdownHandEstimator'):
        metric.process({}, [flat])


def test_a_data_set_without_root_is_named(poses):
    metric = HandPoseMetric()
    metric.dataset_meta = dict(dataset_name='other')
    metric.process({}, [sample(poses[0][0], poses[1][0])])
    with pytest.raises(ValueError, match='root_index'):
        metric.evaluate(1)
