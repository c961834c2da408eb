import math

import pytest
import torch
from helpers import hand_meshes

from mmssm.models.losses import HandMeshLoss
from mmssm.registry import MODELS

TERMS = ('keypoints_2d', 'keypoints_3d', 'global_orient', 'hand_pose', 'betas')
WEIGHTS = dict(
    keypoints_2d=0.01,
    keypoints_3d=0.05,
    global_orient=0.001,
    hand_pose=0.001,
    betas=0.0005,
)


def written_out(pred, labels, betas_reg=True):
    """The papers' sums, one number at a time."""
    found = dict.fromkeys(TERMS, 0.0)
    numbers = {key: value.tolist() for key, value in labels.items()}
    for n in range(len(pred.betas)):
        x, X = pred.keypoints[n].tolist(), pred.joints[n].tolist()
        goal, Goal = numbers['keypoints_2d'][n], numbers['joints_3d'][n]
        for j in range(21):
            for axis in range(2):
                found['keypoints_2d'] += numbers['keypoints_2d_weights'][n][j] * abs(
                    x[j][axis] - goal[j][axis]
                )
            for axis in range(3):
                found['keypoints_3d'] += numbers['joints_3d_weights'][n][j] * abs(
                    (X[j][axis] - X[0][axis]) - (Goal[j][axis] - Goal[0][axis])
                )
        for name in ('global_orient', 'hand_pose'):
            ours = getattr(pred, name)[n].flatten().tolist()
            theirs = labels[name][n].flatten().tolist()
            found[name] += numbers['has_mano_pose'][n] * sum(
                (a - b) ** 2 for a, b in zip(ours, theirs, strict=True)
            )
        has = numbers['has_betas'][n]
        goal = numbers['betas'][n] if has else [0.0] * 10
        if has or betas_reg:
            found['betas'] += sum(
                (a - b) ** 2 for a, b in zip(pred.betas[n].tolist(), goal, strict=True)
            )
    return {f'loss_{key}': WEIGHTS[key] * value for key, value in found.items()}


def check(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].ndim == 0
        assert float(found[name]) == pytest.approx(value, rel=1e-12), name


def test_the_terms_are_the_papers_sums():
    pred, labels = hand_meshes.prediction(), hand_meshes.labels()
    labels['keypoints_2d_weights'][0, 3] = 0.4
    labels['joints_3d_weights'][1, 7] = 0.25
    check(HandMeshLoss()(pred, labels), written_out(pred, labels))


@pytest.mark.parametrize('betas_reg', [True, False])
def test_missing_annotations_are_left_out(betas_reg):
    pred, labels = hand_meshes.prediction(3), hand_meshes.labels(3)
    labels['keypoints_2d_weights'][0, 5:9] = 0
    labels['joints_3d_weights'][1] = 0
    labels['has_mano_pose'][2] = 0
    labels['has_betas'][1] = 0
    found = HandMeshLoss(betas_reg=betas_reg)(pred, labels)
    check(found, written_out(pred, labels, betas_reg))


def test_the_loss_of_the_truth_is_zero():
    pred = hand_meshes.prediction()
    labels = hand_meshes.labels()
    labels.update(
        keypoints_2d=pred.keypoints,
        joints_3d=pred.joints + 0.7,  # only relative to the wrist
        global_orient=pred.global_orient,
        hand_pose=pred.hand_pose,
        betas=pred.betas,
    )
    for name, value in HandMeshLoss()(pred, labels).items():
        assert float(value) == pytest.approx(0, abs=1e-14), name


@pytest.mark.parametrize('garbage', [math.nan, math.inf, 1e30])
def test_what_is_masked_reaches_neither_loss_nor_gradient(garbage):
    labels = hand_meshes.labels()
    masks = {
        'keypoints_2d': ('keypoints_2d_weights', (0, slice(2, 6))),
        'joints_3d': ('joints_3d_weights', (1, slice(2, 6))),
        'global_orient': ('has_mano_pose', (0,)),
        'hand_pose': ('has_mano_pose', (0,)),
        'betas': ('has_betas', (1,)),
    }
    results = []
    for value in (0.0, garbage):
        spoilt = {key: label.clone() for key, label in labels.items()}
        for name, (mask, place) in masks.items():
            spoilt[name][place] = value
            spoilt[mask][place] = 0
        pred = hand_meshes.prediction(requires_grad=True)
        losses = HandMeshLoss()(pred, spoilt)
        sum(losses.values()).backward()
        results.append((losses, [tensor.grad for tensor in pred]))
    (clean, clean_grads), (spoilt, spoilt_grads) = results
    assert clean == spoilt
    for one, other in zip(clean_grads, spoilt_grads, strict=True):
        if one is not None:
            assert one.isfinite().all()
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_weight_that_is_no_number_counts_as_missing():
    pred, labels = hand_meshes.prediction(), hand_meshes.labels()
    labels['keypoints_2d_weights'][0, 3] = 0
    expected = HandMeshLoss()(pred, labels)
    labels['keypoints_2d_weights'][0, 3] = math.nan
    assert HandMeshLoss()(pred, labels) == expected


def test_without_a_wrist_a_sample_has_no_joints_in_space():
    pred, labels = hand_meshes.prediction(), hand_meshes.labels()
    labels['joints_3d_weights'][0, 0] = 0
    labels['joints_3d'][0, 0] = math.nan
    found = HandMeshLoss()(pred, labels)['loss_keypoints_3d']
    labels['joints_3d_weights'][0] = 0
    assert found == HandMeshLoss()(pred, labels)['loss_keypoints_3d'] > 0


@pytest.mark.parametrize('count', [0, 2])
@pytest.mark.parametrize('reduction', ['sum', 'mean'])
def test_with_nothing_labelled_the_loss_is_zero_and_has_a_gradient(count, reduction):
    labels = hand_meshes.labels(count)
    for key in labels:
        labels[key] = torch.full_like(labels[key], math.nan)
        if key.endswith('_weights') or key.startswith('has_'):
            labels[key] = torch.zeros_like(labels[key])
    pred = hand_meshes.prediction(count, requires_grad=True)
    loss = HandMeshLoss(betas_reg=False, reduction=reduction)
    for name, value in loss(pred, labels).items():
        assert value == 0 and value.requires_grad, name
        value.backward()
    for name in ('keypoints', 'joints', 'global_orient', 'hand_pose', 'betas'):
        assert not getattr(pred, name).grad.any(), name


def test_unlabelled_shapes_are_drawn_to_zero():
    pred = hand_meshes.prediction(requires_grad=True)
    labels = hand_meshes.labels()
    labels['has_betas'][:] = 0
    HandMeshLoss()(pred, labels)['loss_betas'].backward()
    torch.testing.assert_close(pred.betas.grad, 2 * 0.0005 * pred.betas.detach())


def test_the_mean_is_the_sum_over_the_number_of_samples():
    pred, labels = hand_meshes.prediction(4), hand_meshes.labels(4)
    labels['has_mano_pose'][1:] = 0
    total = HandMeshLoss()(pred, labels)
    for name, value in HandMeshLoss(reduction='mean')(pred, labels).items():
        torch.testing.assert_close(value, total[name] / 4)


def test_a_repeated_batch_has_the_same_mean_and_twice_the_sum():
    pred, labels = hand_meshes.prediction(), hand_meshes.labels()
    twice = type(pred)(*(tensor.repeat_interleave(2, 0) for tensor in pred))
    labels_twice = {k: v.repeat_interleave(2, 0) for k, v in labels.items()}
    for reduction, factor in (('sum', 2), ('mean', 1)):
        loss = HandMeshLoss(reduction=reduction)
        for name, value in loss(pred, labels).items():
            torch.testing.assert_close(loss(twice, labels_twice)[name], factor * value)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_half_predictions_are_summed_in_single_precision(dtype):
    pred = hand_meshes.prediction(dtype=dtype, requires_grad=True)
    labels = hand_meshes.labels(dtype=torch.float32)
    found = HandMeshLoss()(pred, labels)
    wide = type(pred)(*(tensor.double() for tensor in pred))
    for name, value in HandMeshLoss()(wide, labels).items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value.float(), rtol=1e-5, atol=1e-9)
    sum(found.values()).backward()
    assert pred.betas.grad.dtype == dtype


def test_masks_may_be_booleans_and_labels_of_another_precision():
    pred, labels = hand_meshes.prediction(), hand_meshes.labels()
    expected = HandMeshLoss()(pred, labels)
    for key in ('has_betas', 'has_mano_pose', 'joints_3d_weights'):
        labels[key] = labels[key].bool()
    assert HandMeshLoss()(pred, labels) == expected


def test_every_term_differentiates():
    labels = hand_meshes.labels(1)
    start = hand_meshes.prediction(1)
    names = ('keypoints', 'joints', 'global_orient', 'hand_pose', 'betas')

    def total(*tensors):
        pred = start._replace(**dict(zip(names, tensors, strict=True)))
        return sum(HandMeshLoss()(pred, labels).values())

    inputs = [getattr(start, name).requires_grad_() for name in names]
    assert torch.autograd.gradcheck(total, inputs)


def test_terms_of_no_weight_need_no_labels():
    loss = MODELS.build(
        dict(
            type='mmssm.HandMeshLoss',
            keypoints_3d=0.0,
            global_orient=0.0,
            hand_pose=0.0,
            betas=0.0,
        )
    )
    labels = hand_meshes.labels()
    some = {key: labels[key] for key in ('keypoints_2d', 'keypoints_2d_weights')}
    assert list(loss(hand_meshes.prediction(), some, prefix='jr_')) == [
        'jr_loss_keypoints_2d'
    ]


def test_what_does_not_fit_is_named():
    pred, labels = hand_meshes.prediction(), hand_meshes.labels()
    with pytest.raises(ValueError, match="needs the label 'has_betas'"):
        HandMeshLoss()(pred, {k: v for k, v in labels.items() if k != 'has_betas'})
    labels['joints_3d'] = labels['joints_3d'][:, :16]
    with pytest.raises(ValueError, match=r"'joints_3d' must have shape \(2, 21, 3\)"):
        HandMeshLoss()(pred, labels)
    with pytest.raises(ValueError, match='reduction'):
        HandMeshLoss(reduction='none')
    with pytest.raises(ValueError, match='every weight'):
        HandMeshLoss(0, 0, 0, 0, 0)
