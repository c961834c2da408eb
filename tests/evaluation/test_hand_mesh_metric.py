import json
import zipfile

import numpy as np
import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.evaluation import HandMeshMetric, HIntPCK
from mmssm.evaluation.functional import hand
from mmssm.evaluation.functional.hand_mesh import f_scores
from mmssm.registry import METRICS
from mmssm.structures.hand import reorder

META = dict(root_index=0)
VERTICES = 50


@pytest.fixture
def hands():
    """Predicted and true joints and vertices of six hands, metres."""
    rng = np.random.default_rng(0)
    gt = rng.normal(size=(6, 21 + VERTICES, 3)) * 0.04 + [0.1, -0.2, 0.7]
    pred = gt - [0.1, -0.2, 0.7] + rng.normal(size=gt.shape) * 0.01
    return pred[:, :21], pred[:, 21:], gt[:, :21], gt[:, 21:]


def sample(pred, pred_mesh, gt, gt_mesh, number=0, visible=None):
    return dict(
        img_id=number,
        img_path=f'{number:05d}.jpg',
        pred_instances=dict(
            keypoints_3d=torch.tensor(pred[None]),
            mesh_vertices=torch.tensor(pred_mesh[None]),
            full_cam_t=np.array([[0.1, 0.0, 0.7]]),
        ),
        gt_instances=dict(
            keypoints_cam=gt[None],
            vertices=gt_mesh[None],
            keypoints_visible=np.ones((1, 21)) if visible is None else visible,
        ),
    )


def samples(hands, numbers=range(6)):
    return [
        sample(*row, number)
        for row, number in zip(zip(*hands, strict=True), numbers, strict=True)
    ]


def evaluate(batch, **arguments):
    metric = METRICS.build(dict(type='mmssm.HandMeshMetric', **arguments))
    metric.dataset_meta = META
    half = len(batch) // 2
    metric.process({}, batch[:half])
    metric.process({}, batch[half:])
    return metric.evaluate(len(batch))


def test_numbers_are_those_of_the_functions(hands):
    pred, pred_mesh, gt, gt_mesh = hands
    names = ['PA-MPJPE', 'PA-MPVPE', 'PA-MPJPE-proper', 'PA-MPVPE-proper']
    names += ['ST-MPJPE', 'MPJPE', 'MPVPE']
    found = evaluate(samples(hands), errors=names, f_thresholds=(5, 15, 0.5))
    joints = hand.joint_errors(hand.official_align(pred, gt), gt)
    aligned = hand.official_align(pred_mesh, gt_mesh)
    moved = pred_mesh - pred[:, :1] - gt_mesh + gt[:, :1]
    expected = {
        ('PA-MPJPE', 'AUC_J'): joints,
        ('PA-MPVPE', 'AUC_V'): hand.joint_errors(aligned, gt_mesh),
        ('PA-MPJPE-proper', 'AUC_J-proper'): hand.joint_errors(
            hand.proper_align(pred, gt), gt
        ),
        ('PA-MPVPE-proper', 'AUC_V-proper'): hand.joint_errors(
            hand.proper_align(pred_mesh, gt_mesh), gt_mesh
        ),
        ('ST-MPJPE', 'ST-AUC_J'): hand.joint_errors(
            hand.scale_translation_align(pred, gt), gt
        ),
        ('MPJPE', 'RR-AUC_J'): hand.root_relative_errors(pred, gt, 0),
        ('MPVPE', 'RR-AUC_V'): np.linalg.norm(moved, axis=-1),
    }
    for (error, area), values in expected.items():
        assert found.pop(error) == pytest.approx(1000 * values.mean())
        assert found.pop(area) == pytest.approx(hand.pck_auc(values, 0, 0.05))
    scores = f_scores(aligned, gt_mesh, [0.005, 0.015, 0.0005]).mean(0)
    assert found == pytest.approx(
        dict(zip(('F@5', 'F@15', 'F@0.5'), scores, strict=True))
    )


def test_a_perfect_hand_anywhere_has_no_error(hands):
    _, _, gt, gt_mesh = hands
    far = 2 * gt + 5, 2 * gt_mesh + 5, gt, gt_mesh
    found = evaluate(samples(far))
    assert found['PA-MPJPE'] == pytest.approx(0, abs=1e-4)
    assert found['PA-MPVPE'] == pytest.approx(0, abs=1e-4)
    assert found['F@5'] == found['F@15'] == 1
    assert found['AUC_J'] == pytest.approx(98.5 / 99)
    assert found['AUC_V'] == pytest.approx(98.5 / 99)
    mirrored = [points * [-1, 1, 1] for points in far[:2]]
    errors = ['PA-MPVPE', 'PA-MPVPE-proper']
    found = evaluate(samples((*mirrored, gt, gt_mesh)), errors=errors)
    assert found['PA-MPVPE'] == pytest.approx(0, abs=1e-4)
    assert found['PA-MPVPE-proper'] > 10


def test_joints_alone_need_no_vertices(hands):
    batch = samples(hands)
    for one in batch:
        del one['gt_instances']['vertices']
        del one['pred_instances']['mesh_vertices']
    found = evaluate(batch, errors=['PA-MPJPE'], f_thresholds=())
    assert set(found) == {'PA-MPJPE', 'AUC_J'}


def test_unknown_joints_do_not_count(hands):
    visible = np.ones((1, 21))
    visible[0, 5:] = 0
    rows = list(zip(*hands, strict=True))
    found = evaluate(
        [sample(*row, n, visible) for n, row in enumerate(rows)], f_thresholds=()
    )
    pred, _, gt, _ = hands
    part = hand.joint_errors(hand.official_align(pred[:, :5], gt[:, :5]), gt[:, :5])
    assert found['PA-MPJPE'] == pytest.approx(1000 * part.mean())
    apart = [sample(*row, n) for n, row in enumerate(rows)]
    for one in apart:
        one['gt_instances']['keypoints_cam_weights'] = visible
    assert evaluate(apart, f_thresholds=()) == found
    hidden = [sample(*row, n, 0 * visible) for n, row in enumerate(rows)]
    with pytest.raises(ValueError, match='no joint to evaluate PA-MPJPE'):
        evaluate(hidden, f_thresholds=())
    no_root = np.ones((1, 21))
    no_root[0, 0] = 0
    with pytest.raises(ValueError, match='no joint to evaluate MPVPE'):
        evaluate([sample(*rows[0], 0, no_root)] * 2, errors=['MPVPE'], f_thresholds=())


def test_freihand_gets_hands_where_the_camera_sees_them(tmp_path, hands):
    batch = samples(hands, [3, 1, 0, 2, 5, 4])
    for one in batch:
        del one['gt_instances']
    found = evaluate(
        batch,
        submission='freihand',
        outfile_prefix=str(tmp_path / 'run' / 'pred'),
        format_only=True,
        num_samples=6,
        num_vertices=VERTICES,
    )
    assert found == {}
    with zipfile.ZipFile(tmp_path / 'run' / 'pred.zip') as archive:
        joints, vertices = json.loads(archive.read('pred.json'))
    order = [2, 1, 3, 0, 5, 4]
    np.testing.assert_allclose(joints, hands[0][order] + [0.1, 0, 0.7], atol=1e-6)
    np.testing.assert_allclose(vertices, hands[1][order] + [0.1, 0, 0.7], atol=1e-6)


def test_ho3d_gets_hands_where_the_set_says_the_wrist_is(tmp_path, hands):
    pred, pred_mesh, gt, _ = hands
    batch = samples(hands)
    for one in batch:
        del one['gt_instances']['vertices']
        one['gt_instances']['keypoints_visible'] = np.eye(21)[:1]
    arguments = dict(
        submission='ho3d_v2',
        outfile_prefix=str(tmp_path / 'pred'),
        format_only=True,
        num_samples=6,
        num_vertices=VERTICES,
    )
    evaluate(batch, **arguments)
    with zipfile.ZipFile(tmp_path / 'pred.zip') as archive:
        joints, vertices = map(np.array, json.loads(archive.read('pred.json')))
    move = gt[:, :1] - pred[:, :1]
    flip = [1, -1, -1]
    native = reorder((pred + move) * flip, 'op21', 'mano')
    np.testing.assert_allclose(joints, native, atol=1e-6)
    np.testing.assert_allclose(vertices, (pred_mesh + move) * flip, atol=1e-6)
    assert (joints[:, 0, 2] < 0).all()
    batch[0]['gt_instances']['keypoints_visible'] = np.zeros((1, 21))
    with pytest.raises(ValueError, match=r'00000\.jpg does not say where the wrist'):
        evaluate(batch, **arguments)


def test_a_part_of_a_set_is_no_submission(tmp_path, hands):
    arguments = dict(submission='freihand', outfile_prefix=str(tmp_path / 'pred'))
    with pytest.raises(ValueError, match=r'0 to 3959.*6 predictions.*3954 missing'):
        evaluate(samples(hands), **arguments)
    with pytest.raises(ValueError, match=r'of 5 images, 1 missing, first \[5\]'):
        evaluate(samples(hands, [0, 1, 2, 3, 4, 4]), num_samples=6, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(errors=['PA-MPJPE', 'nonsense']), 'nonsense'),
        (dict(errors='PA-MPJPE'), 'list of names'),
        (dict(errors=[]), 'list of names'),
        (dict(f_thresholds=(0,)), 'positive'),
        (dict(submission='codalab'), 'submission must be'),
        (dict(outfile_prefix='x'), 'needs submission'),
        (dict(format_only=True), 'format_only needs'),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        HandMeshMetric(**arguments)


def test_samples_that_cannot_be_measured_are_named(hands):
    metric = HandMeshMetric()
    metric.dataset_meta = META
    one = samples(hands)[3]
    one['pred_instances']['mesh_vertices'][0, 2] = np.nan
    with pytest.raises(ValueError, match=r'00003\.jpg is not finite'):
        metric.process({}, [one])
    one = samples(hands)[3]
    del one['gt_instances']['vertices']
    with pytest.raises(KeyError, match=r'00003\.jpg has no vertices'):
        metric.process({}, [one])
    one = samples(hands)[3]
    del one['pred_instances']['keypoints_3d']
    with pytest.raises(KeyError, match='HandMeshEstimator'):
        metric.process({}, [one])
    one = samples(hands)[3]
    one['gt_instances']['vertices'] = np.zeros((1, 9, 3))
    with pytest.raises(ValueError, match=r'00003\.jpg has shape \(1, 50, 3\)'):
        metric.process({}, [one])
    metric.dataset_meta = dict(dataset_name='other')
    with pytest.raises(ValueError, match='root_index'):
        metric.process({}, samples(hands))
    with pytest.raises(ValueError, match='no hand'):
        HandMeshMetric().compute_metrics([])


def hint(pred, gt, number, visible, occluded, box):
    return dict(
        img_path=f'{number}.jpg',
        pred_instances=dict(keypoints=pred[None]),
        gt_instances=dict(
            keypoints=gt[None],
            keypoints_visible=visible[None],
            keypoints_occluded=occluded[None],
            bboxes=np.array([box], float),
        ),
    )


def test_hint_is_a_ratio_of_each_joint_then_their_mean():
    rng = np.random.default_rng(1)
    count = 12
    gt = rng.uniform(0, 200, (count, 21, 2))
    pred = gt + rng.normal(size=gt.shape) * 12
    known = (rng.random((count, 21)) < 0.8).astype(float)
    hidden = (rng.random((count, 21)) < 0.4).astype(float)
    known[:, 2] = 0
    boxes = [(10, 20, 10 + 90 + n, 20 + 60 + 5 * n) for n in range(count)]
    metric = METRICS.build(dict(type='mmssm.HIntPCK'))
    rows = zip(pred, gt, range(count), known, hidden, boxes, strict=True)
    metric.process({}, [hint(*row) for row in rows])
    found = metric.evaluate(count)
    sides = [max(90 + n, 60 + 5 * n) for n in range(count)]
    masks = {
        'all': known > 0,
        'visible': (known > 0) & (hidden == 0),
        'occluded': (known > 0) & (hidden > 0),
    }
    assert len(found) == 9
    for name, mask in masks.items():
        for part in (0.05, 0.1, 0.15):
            ratios = []
            for joint in range(21):
                hits = [
                    np.hypot(*(pred[n, joint] - gt[n, joint])) <= part * sides[n]
                    for n in range(count)
                    if mask[n, joint]
                ]
                ratios += [np.mean(hits)] if hits else []
            expected = 100 * np.mean(ratios)
            assert found[f'PCK@{part:g}_{name}'] == pytest.approx(expected)


def test_hint_is_not_pooled():
    """One joint right in one hand, another wrong in two: 50 %, pooled 33 %."""
    gt = np.zeros((21, 2))
    pred = gt.copy()
    pred[1] = 100
    none = np.zeros(21)
    first, second = none.copy(), none.copy()
    first[[0, 1]], second[1] = 1, 1
    metric = HIntPCK(thresholds=[0.1], sets=['all', 'occluded'])
    box = (0, 0, 50, 40)
    metric.process(
        {}, [hint(pred, gt, 0, first, none, box), hint(pred, gt, 1, second, none, box)]
    )
    found = metric.evaluate(2)
    assert found['PCK@0.1_all'] == 50
    assert np.isnan(found['PCK@0.1_occluded'])


def test_hint_says_what_it_lacks():
    gt = np.zeros((21, 2))
    ones = np.ones(21)
    flat = hint(gt, gt, 7, ones, ones, (5, 5, 5, 5))
    with pytest.raises(ValueError, match=r'box of 7\.jpg has no size'):
        HIntPCK().process({}, [flat])
    plain = hint(gt, gt, 7, ones, ones, (0, 0, 5, 5))
    del plain['gt_instances']['keypoints_occluded']
    with pytest.raises(KeyError, match=r"7\.jpg has no keypoints_occluded.*\['all'\]"):
        HIntPCK().process({}, [plain])
    metric = HIntPCK(sets=['all'])
    metric.process({}, [plain])
    assert metric.evaluate(1)['PCK@0.05_all'] == 100
    with pytest.raises(ValueError, match='no hand'):
        HIntPCK().compute_metrics([])
    for arguments in (dict(thresholds=[0]), dict(sets='all'), dict(sets=['some'])):
        with pytest.raises(ValueError, match='must be'):
            HIntPCK(**arguments)
