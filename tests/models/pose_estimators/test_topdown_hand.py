"""From joints in the camera to a crop and back: transforms, codec, estimator."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS, TRANSFORMS

import mmssm.registry  # noqa: F401

SIZE = (64, 48)
META = (
    'id',
    'img_path',
    'input_size',
    'input_center',
    'input_scale',
    'flip_indices',
    'focal',
    'principal_pt',
    'cube_center',
    'hand_type',
    'crop_mirrored',
)


def hand_sample(left=False, **more):
    """A hand in front of a camera, as the data sets give it."""
    rng = np.random.default_rng(3)
    cam = rng.normal(size=(1, 21, 3)) * 0.03 + [0.05, -0.02, 0.5]
    focal, center = np.array([[480.0, 500.0]]), np.array([[110.0, 120.0]])
    keypoints = cam[..., :2] / cam[..., 2:] * focal[:, None] + center[:, None]
    low, high = keypoints.min(1), keypoints.max(1)
    return dict(
        id=3,
        img_path='3.jpg',
        img=rng.integers(0, 255, size=(224, 224, 3), dtype=np.uint8),
        img_shape=(224, 224),
        bbox=np.concatenate([low, high], -1),
        bbox_score=np.ones(1),
        keypoints=keypoints,
        keypoints_visible=np.ones((1, 21)),
        keypoints_cam=cam,
        focal=focal,
        principal_pt=center,
        hand_type=np.array([[0.0, 1.0]] if left else [[1.0, 0.0]]),
        flip_indices=list(range(21)),
        **more,
    )


def run(sample, *steps):
    encoder = dict(type='mmssm.HeatmapDepth', input_size=SIZE)
    steps = (
        dict(type='GetBBoxCenterScale', padding=1.25),
        *steps,
        dict(type='GenerateTarget', encoder=encoder),
    )
    for step in steps:
        sample = TRANSFORMS.build(step).transform(sample)
    return sample


def pack(sample):
    step = dict(type='PackPoseInputs', meta_keys=META)
    return TRANSFORMS.build(step).transform(sample)['data_samples']


def estimator(**test_cfg):
    decoder = dict(type='mmssm.HeatmapDepth', input_size=SIZE)
    return MODELS.build(
        dict(
            type='mmssm.TopdownHandEstimator',
            backbone=dict(type='ResNet', depth=18, deep_stem=False),
            head=dict(
                type='mmssm.HeatmapDepthHead',
                in_channels=512,
                num_joints=21,
                decoder=decoder,
            ),
            test_cfg=test_cfg,
        )
    )


def perfect(packed):
    """The prediction that the labels are."""
    label = packed.gt_instance_labels
    return InstanceData(
        keypoints=label.keypoint_labels.double().numpy() * SIZE,
        keypoint_depths=label.depth_labels.double().numpy(),
        keypoint_scores=np.ones((1, 21)),
    )


AFFINE = dict(type='TopdownAffine', input_size=SIZE)
MIRROR = dict(type='mmssm.MirrorLeftHand')


@pytest.mark.parametrize('left', [False, True])
@pytest.mark.parametrize('given', [False, True])
def test_labels_as_predictions_are_the_joints_of_the_image(left, given):
    sample = hand_sample(left)
    if given:
        sample['cube_center'] = np.array([[0, 0, 0.47]])
    packed = pack(run(sample, AFFINE, MIRROR))
    assert packed.metainfo.get('crop_mirrored', False) == left
    (found,) = estimator().add_pred_to_datasample([perfect(packed)], None, [packed])
    pred, gt = found.pred_instances, found.gt_instances
    np.testing.assert_allclose(pred.keypoints, gt.keypoints, atol=1e-4)
    np.testing.assert_allclose(pred.keypoints_3d, gt.keypoints_cam, atol=1e-6)


def test_without_a_mirror_the_left_hand_keeps_its_side():
    packed = pack(run(hand_sample(left=True), AFFINE))
    (found,) = estimator().add_pred_to_datasample([perfect(packed)], None, [packed])
    np.testing.assert_allclose(
        found.pred_instances.keypoints, found.gt_instances.keypoints, atol=1e-4
    )


def test_rotation_scale_and_shift_leave_depths_alone():
    plain = run(hand_sample(), AFFINE)
    np.random.seed(0)
    moved = run(
        hand_sample(), dict(type='RandomBBoxTransform', rotate_prob=1.0), AFFINE
    )
    assert abs(moved['bbox_rotation'][0]) > 1
    seen = (plain['depth_weights'] * moved['depth_weights']) > 0
    assert seen.sum() > 10
    np.testing.assert_array_equal(
        plain['depth_labels'][seen], moved['depth_labels'][seen]
    )
    assert not np.allclose(plain['keypoint_labels'], moved['keypoint_labels'])


def test_the_mirrored_crop_is_the_mirror_image():
    plain, mirrored = (
        run(hand_sample(left=True), AFFINE, *steps) for steps in ((), (MIRROR,))
    )
    np.testing.assert_array_equal(mirrored['img'], plain['img'][:, ::-1])
    label, other = plain['transformed_keypoints'], mirrored['transformed_keypoints']
    np.testing.assert_allclose(other[..., 0], SIZE[0] - 1 - label[..., 0])
    np.testing.assert_array_equal(other[..., 1], label[..., 1])
    for name in ('keypoints', 'keypoints_cam', 'principal_pt', 'hand_type', 'bbox'):
        np.testing.assert_array_equal(mirrored[name], plain[name])
    for name in ('depth_labels', 'keypoint_weights'):
        np.testing.assert_array_equal(mirrored[name], plain[name])


def test_a_mirror_at_random_undoes_that_of_a_left_hand():
    twice = run(
        hand_sample(left=True),
        AFFINE,
        MIRROR,
        dict(type='mmssm.RandomMirrorHand', prob=1.0),
    )
    plain = run(hand_sample(left=True), AFFINE)
    np.testing.assert_array_equal(twice['img'], plain['img'])
    assert twice['crop_mirrored'] is False
    never = run(hand_sample(), AFFINE, dict(type='mmssm.RandomMirrorHand', prob=0.0))
    assert 'crop_mirrored' not in never


def test_crops_that_cannot_be_mirrored_are_named():
    with pytest.raises(ValueError, match='put this transform behind TopdownAffine'):
        run(hand_sample(left=True), MIRROR)
    both = hand_sample()
    both['hand_type'] = np.ones((1, 2))
    with pytest.raises(ValueError, match=r'of 3\.jpg is \[1\.0, 1\.0\]'):
        run(both, AFFINE, MIRROR)
    swapped = hand_sample(left=True)
    swapped['flip_indices'] = [*range(1, 21), 0]
    with pytest.raises(ValueError, match='HandRandomFlip'):
        run(swapped, AFFINE, MIRROR)
    with pytest.raises(ValueError, match='prob'):
        TRANSFORMS.build(dict(type='mmssm.RandomMirrorHand', prob=2.0))


def test_heatmaps_of_a_mirrored_crop_are_turned_back():
    packed = pack(run(hand_sample(left=True), AFFINE, MIRROR))
    heatmaps = torch.rand(21, 12, 16)
    estimator().add_pred_to_datasample(
        [perfect(packed)], [PixelData(heatmaps=heatmaps)], [packed]
    )
    torch.testing.assert_close(packed.pred_fields.heatmaps, heatmaps.flip(-1))


def test_some_of_the_joints_can_be_had():
    packed = pack(run(hand_sample(), AFFINE))
    tips = [4, 8, 12]
    (found,) = estimator(output_keypoint_indices=tips).add_pred_to_datasample(
        [perfect(packed)], None, [packed]
    )
    np.testing.assert_allclose(
        found.pred_instances.keypoints_3d,
        found.gt_instances.keypoints_cam[:, tips],
        atol=1e-6,
    )


@pytest.mark.parametrize('missing', ['focal', 'keypoints_cam'])
def test_without_camera_or_root_there_are_joints_of_the_image_alone(missing):
    packed = pack(run(hand_sample(), AFFINE))
    pred = perfect(packed)
    if missing == 'focal':
        del packed.focal
    else:
        del packed.gt_instances.keypoints_cam
    (found,) = estimator().add_pred_to_datasample([pred], None, [packed])
    assert 'keypoints_3d' not in found.pred_instances
    assert found.pred_instances.keypoint_depths.shape == (1, 21)


@pytest.mark.parametrize('flip_test', [False, True])
def test_a_network_trains_and_predicts(flip_test):
    torch.manual_seed(0)
    model = estimator(flip_test=flip_test)
    sample = run(hand_sample(left=True), AFFINE, MIRROR)
    packed = pack(sample)
    inputs = torch.tensor(sample['img']).permute(2, 0, 1)[None].float() / 255
    loss, _ = model.parse_losses(model.loss(inputs, [packed]))
    loss.backward()
    assert loss.isfinite() and model.backbone.conv1.weight.grad.abs().sum() > 0
    with torch.no_grad():
        (found,) = model.eval().predict(inputs, [packed])
    assert found.pred_instances.keypoints_3d.shape == (1, 21, 3)
    assert np.isfinite(found.pred_instances.keypoints_3d).all()
