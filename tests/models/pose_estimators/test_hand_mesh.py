"""From a crop to a hand in the image, by an estimator whose network is perfect."""

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from mmpose.registry import MODELS, TRANSFORMS
from mmpose.structures import merge_data_samples

import mmssm.registry  # noqa: F401
from mmssm.geometry.cameras import project

SIDE = 64
META = (
    'img_path',
    'ori_shape',
    'input_size',
    'input_center',
    'input_scale',
    'flip_indices',
    'focal',
    'principal_pt',
    'hand_type',
    'crop_mirrored',
    'bbox_rotation',
)
MIRROR = np.diag([-1.0, 1.0, 1.0])
REST = np.array([[-0.03, 0.03], [0.04, 0.0], [-0.01, -0.045]])
"""Joints that are seen as a red, a green and a blue blob, metres; the first is the
wrist."""


@MODELS.register_module('TestPixels', force=True)
class Pixels(BaseModule):
    """A backbone that hands the image on."""

    def forward(self, x):
        """The image as the only map."""
        return (x,)


@MODELS.register_module('TestBlobHead', force=True)
class BlobHead(BaseModule):
    """A network that reads three blobs exactly, as a plane hand of three joints.

    It knows both sides: a mirrored hand is one that was turned about its y axis.
    """

    def __init__(self):
        super().__init__()
        self.seen = []

    def predict(self, feats, batch_data_samples, test_cfg=None):
        """Fits the hand to the blobs."""
        self.seen.append((feats[-1], dict(test_cfg)))
        return [self._fit(image) for image in feats[-1].double().numpy()]

    def _fit(self, image):
        mass = image / image.sum((1, 2), keepdims=True)
        y, x = np.mgrid[: image.shape[1], : image.shape[2]]
        places = np.stack([(mass * x).sum((1, 2)), (mass * y).sum((1, 2))], -1)
        centred = (places - places.mean(0)) / SIDE
        fits = []
        for side in (1.0, -1.0):
            rest = (REST - REST.mean(0)) * [side, 1]
            u, scales, vh = np.linalg.svd(centred.T @ rest)
            sign = np.diag([1, np.sign(np.linalg.det(u @ vh))])
            size = (scales * np.diag(sign)).sum() / (rest**2).sum()
            fits.append((size, u @ sign @ vh, side))
        size, turn, side = max(fits, key=lambda fit: fit[0])
        orient = np.eye(3)
        orient[:2, :2] = turn
        orient = orient @ np.diag([side, 1, side])
        wrist = np.array([*REST[0], 0])
        joints = np.zeros((21, 3))
        joints[:3, :2] = REST
        joints = (joints - wrist) @ orient.T + wrist
        shift = (places.mean(0) / SIDE - 0.5) / size - joints[:3, :2].mean(0)
        cam = np.array([[2 * size, *shift]])
        return InstanceData(
            keypoints=np.concatenate([places, np.zeros((18, 2))])[None],
            keypoint_scores=np.ones((1, 21)),
            keypoints_3d=joints[None],
            mesh_vertices=(1.1 * (joints - wrist) + wrist)[None, :5],
            mano_global_orient=orient[None, None],
            mano_hand_pose=np.tile(np.eye(3), (1, 15, 1, 1)),
            mano_betas=np.zeros((1, 10)),
            pred_cam=cam,
            cam_t=np.array([[*shift, 2 * 5000 / (256 * 2 * size)]]),
        )


def estimator(head=None, **more):
    return MODELS.build(
        dict(
            type='mmssm.HandMeshEstimator',
            backbone=dict(type='TestPixels'),
            head=head or dict(type='TestBlobHead'),
            **more,
        )
    ).eval()


def blobs(center=(70.0, 90.0), side=40.0, left=False, turn=0.4):
    """An image of a hand, its camera, and where its joints are."""
    cos, sin = np.cos(turn), np.sin(turn)
    sign = [-1, 1] if left else [1, 1]
    places = (REST * sign) @ np.array([[cos, sin], [-sin, cos]]) * 4 * side / 2
    places = places + center
    y, x = np.mgrid[:200, :240]
    image = np.stack(
        [np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in places], -1
    )
    keypoints = np.zeros((1, 21, 2))
    keypoints[0, :3] = places
    return dict(
        img_path='hand.jpg',
        img=(255 * image).astype(np.float32),
        img_shape=image.shape[:2],
        ori_shape=image.shape[:2],
        bbox=np.array([[*np.subtract(center, side / 2), *np.add(center, side / 2)]]),
        bbox_score=np.ones(1),
        keypoints=keypoints,
        keypoints_visible=np.ones((1, 21)),
        hand_type=np.array([[0.0, 1.0]] if left else [[1.0, 0.0]]),
        flip_indices=list(range(21)),
    )


def crop(sample, rotation=0.0, mirror=True):
    """Inputs and data sample."""
    sample['bbox_rotation'] = np.array([rotation], np.float32)
    steps = [
        dict(type='GetBBoxCenterScale', padding=1.3),
        dict(type='TopdownAffine', input_size=(SIDE, SIDE)),
        *[dict(type='mmssm.MirrorLeftHand')] * mirror,
    ]
    for step in steps:
        sample = TRANSFORMS.build(step).transform(sample)
    inputs = torch.from_numpy(sample['img']).permute(2, 0, 1)[None]
    packer = TRANSFORMS.build(dict(type='PackPoseInputs', meta_keys=META))
    return inputs, packer.transform(sample)['data_samples']


def predict(model, *crops):
    inputs, samples = zip(*crops, strict=True)
    return [
        sample.pred_instances for sample in model.predict(torch.cat(inputs), samples)
    ]


@pytest.mark.parametrize('left', [False, True])
@pytest.mark.parametrize('rotation', [0.0, 35.0, -100.0])
@pytest.mark.parametrize('given', [False, True])
def test_the_hand_is_where_it_is_in_the_image(left, rotation, given):
    sample = blobs(left=left)
    if given:
        sample.update(
            focal=np.array([[900.0, 900.0]]), principal_pt=np.array([[118.0, 103.0]])
        )
    (found,) = predict(estimator(), crop(sample, rotation))
    np.testing.assert_allclose(
        found.keypoints[:, :3], sample['keypoints'][:, :3], atol=0.05
    )
    placed = found.keypoints_3d + found.full_cam_t[:, None]
    pixels = project(placed, found.focal_length, found.principal_pt)
    np.testing.assert_allclose(pixels[:, :3], found.keypoints[:, :3], atol=0.1)
    if given:
        np.testing.assert_array_equal(found.focal_length, sample['focal'])
        np.testing.assert_array_equal(found.principal_pt, sample['principal_pt'])
    else:
        np.testing.assert_allclose(found.focal_length, 5000 * 240 / 256)
        np.testing.assert_array_equal(found.principal_pt, [[120, 100]])
    np.testing.assert_array_equal(found.hand_type, sample['hand_type'])
    # the image's hand is turned by 0.4 rad, whatever the crop was
    joints = found.keypoints_3d[0, :3, :2]
    angle = np.arctan2(*(joints[1] - joints[2])[::-1])
    rest = (REST[1] - REST[2]) * ([-1, 1] if left else [1, 1])
    turned = angle - np.arctan2(*rest[::-1]) - 0.4
    assert np.cos(turned) > 1 - 1e-5


def test_of_a_left_hand_everything_is_mirrored_but_its_shape():
    right, left = blobs(turn=0.4), blobs(turn=-0.4, left=True)
    one, other = predict(estimator(), crop(right), crop(left))
    for name in ('keypoints_3d', 'mesh_vertices'):
        np.testing.assert_allclose(
            one.get(name), other.get(name) @ MIRROR, atol=1e-3, err_msg=name
        )
    for name in ('mano_global_orient', 'mano_hand_pose'):
        mirrored = MIRROR @ other.get(name) @ MIRROR
        np.testing.assert_allclose(one.get(name), mirrored, atol=0.01, err_msg=name)
    np.testing.assert_allclose(
        one.full_cam_t[:, 1:], other.full_cam_t[:, 1:], rtol=0.01
    )
    assert other.hand_type.tolist() == [[0, 1]] and one.hand_type.tolist() == [[1, 0]]


def test_without_a_hand_type_the_mirror_tells():
    inputs, sample = crop(blobs(left=True))
    del sample.hand_type
    (found,) = predict(estimator(), (inputs, sample))
    assert found.hand_type.tolist() == [[0, 1]]
    sample.set_metainfo(dict(crop_mirrored=False))
    (found,) = predict(estimator(), (inputs, sample))
    assert found.hand_type.tolist() == [[1, 0]]


def test_a_focal_length_of_ones_own_scales_depths():
    near, far = (
        predict(estimator(focal_length=focal), crop(blobs()))[0]
        for focal in (300.0, 600.0)
    )
    np.testing.assert_allclose(2 * near.full_cam_t[:, 2], far.full_cam_t[:, 2])
    assert near.focal_length.tolist() == [[300, 300]]


def test_several_hands_of_an_image_are_in_one_camera():
    samples = [blobs((60, 80)), blobs((150, 110), left=True)]
    model = estimator()
    crops = [crop(sample) for sample in samples]
    inputs, packed = zip(*crops, strict=True)
    merged = merge_data_samples(model.predict(torch.cat(inputs), list(packed)))
    found = merged.pred_instances
    assert len(found) == 2
    np.testing.assert_array_equal(found.focal_length[0], found.focal_length[1])
    for number, sample in enumerate(samples):
        placed = found.keypoints_3d[number] + found.full_cam_t[number]
        pixels = project(placed, found.focal_length[0], found.principal_pt[0])
        np.testing.assert_allclose(pixels[:3], sample['keypoints'][0, :3], atol=0.15)


TTA = dict(tta_scales=(0.9, 1.0, 1.1), tta_rotations=range(-90, 91, 30))


@pytest.mark.parametrize('left', [False, True])
def test_more_views_of_a_hand_change_nothing_for_a_perfect_network(left):
    (one,), (other,) = (
        predict(estimator(test_cfg=test_cfg), crop(blobs(left=left), rotation=20.0))
        for test_cfg in (dict(), TTA)
    )
    for name, atol in dict(
        keypoints=0.05, keypoints_3d=2e-4, mesh_vertices=2e-4, mano_global_orient=5e-3
    ).items():
        np.testing.assert_allclose(
            one.get(name)[:, :3], other.get(name)[:, :3], atol=atol, err_msg=name
        )
    np.testing.assert_allclose(one.full_cam_t, other.full_cam_t, rtol=5e-3, atol=2e-4)


def test_all_combinations_of_views_are_looked_at():
    scales, rotations = (0.7, 0.8, 0.9, 1.0, 1.1), range(-90, 91, 10)
    model = estimator(test_cfg=dict(tta_scales=scales, tta_rotations=rotations))
    assert len(set(model.views)) == 95
    assert len(estimator(test_cfg=dict(flip_test=True, **TTA)).views) == 2 * 3 * 7
    model = estimator(test_cfg=dict(tta_rotations=(0, 90), other=1))
    predict(model, crop(blobs()))
    (plain, test_cfg), (turned, _) = model.head.seen
    # the box is turned clockwise, what is in it anticlockwise
    expected = plain.transpose(-1, -2).flip(-2)[..., :-1, :]
    torch.testing.assert_close(turned[..., 1:, :], expected, atol=0.05, rtol=0)
    assert test_cfg == dict(other=1)


def test_a_flip_test_averages_with_the_mirrored_crop():
    (plain,), (flipped,) = (
        predict(estimator(test_cfg=dict(flip_test=flip)), crop(blobs()))
        for flip in (False, True)
    )
    for name, atol in dict(keypoints=1e-3, keypoints_3d=1e-5, cam_t=1e-3).items():
        np.testing.assert_allclose(
            plain.get(name)[:, :3], flipped.get(name)[:, :3], atol=atol, err_msg=name
        )


def test_what_is_beyond_the_crop_is_black_as_in_pipelines():
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    model = estimator(
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=mean, std=std),
        test_cfg=dict(tta_scales=(1.1,)),
    )
    inputs, sample = crop(blobs())
    data = model.data_preprocessor(dict(inputs=inputs, data_samples=[sample]))
    model.predict(**data)
    ((seen, _),) = model.head.seen
    black = -torch.tensor(mean) / torch.tensor(std)
    torch.testing.assert_close(seen[0, :, 0, 0], black)


def test_the_backbone_sees_the_columns_of_the_middle():
    model = estimator(crop_columns=(8, 56))
    inputs = torch.rand(1, 3, SIDE, SIDE)
    (seen,) = model.extract_feat(inputs)
    torch.testing.assert_close(seen, inputs[..., 8:56])
    (seen,) = (
        model(inputs, None, mode='tensor') if False else model.extract_feat(inputs)
    )
    with pytest.raises(ValueError, match='columns 8 to 55'):
        model.extract_feat(torch.rand(1, 3, 48, 48))
    with pytest.raises(ValueError, match='square crops'):
        model.extract_feat(torch.rand(1, 3, 64, 60))


def test_some_of_the_joints_can_be_had():
    model = estimator(test_cfg=dict(output_keypoint_indices=[0, 2]))
    (found,) = predict(model, crop(blobs()))
    assert found.keypoints.shape == (1, 2, 2)
    assert found.keypoints_3d.shape == (1, 2, 3)
    assert found.mesh_vertices.shape == (1, 5, 3)


def test_what_cannot_be_placed_is_named():
    inputs, sample = crop(blobs())
    del sample.ori_shape
    with pytest.raises(ValueError, match=r'camera of hand\.jpg is not known'):
        predict(estimator(), (inputs, sample))
    inputs, sample = crop(blobs() | dict(focal=np.ones((1, 2))))
    with pytest.raises(ValueError, match='expected focal and principal_pt'):
        predict(estimator(), (inputs, sample))
    inputs, sample = crop(blobs())
    sample.set_metainfo(dict(input_scale=np.array([50.0, 60.0])))
    with pytest.raises(ValueError, match='square crops'):
        predict(estimator(), (inputs, sample))
    with pytest.raises(ValueError, match='tta_scales must be positive'):
        estimator(test_cfg=dict(tta_scales=(0.0, 1.0)))


def hamba(**more):
    return dict(
        type='mmssm.HambaHead',
        arch='small',
        embed_dims=16,
        num_gss=1,
        regressor_depths=(1,),
        in_channels=3,
        feat_size=(64, 48),
        crop_size=SIDE,
        **more,
    )


def test_estimator_and_head_must_mean_the_same_columns():
    head = hamba(crop_columns=(8, 56))
    for columns in (None, (0, 48)):
        with pytest.raises(ValueError, match=r'the head reads a map of \(8, 56\)'):
            estimator(head=head, crop_columns=columns)
    assert estimator(head=head, crop_columns=[8, 56]).crop_columns == (8, 56)


def test_hambas_head_is_looked_at_from_all_sides():
    torch.manual_seed(0)
    model = estimator(
        head=hamba(crop_columns=(8, 56)),
        crop_columns=(8, 56),
        test_cfg=dict(flip_test=True, tta_scales=(0.9, 1.0), tta_rotations=(0, 30)),
    )
    with torch.no_grad():
        found, other = predict(model, crop(blobs()), crop(blobs(left=True)))
    for hand in (found, other):
        assert hand.mesh_vertices.shape == (1, model.head.mano.num_vertices, 3)
        assert hand.mano_hand_pose.shape == (1, 15, 3, 3)
        for name, value in hand.items():
            assert np.isfinite(value).all(), name
    pixels = project(
        found.keypoints_3d + found.full_cam_t[:, None],
        found.focal_length,
        found.principal_pt,
    )
    assert np.abs(pixels - found.keypoints).max() < 1.5
