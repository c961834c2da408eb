import numpy as np
import pytest
import torch
from helpers import hands
from mmpose.registry import TRANSFORMS

from mmssm.datasets.transforms.hand_mesh_crop import turn_wrist, viewing_turn
from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.geometry.skinning import pose_hand

SIZE = (64, 64)


def build(kind, **arguments):
    return TRANSFORMS.build({'type': f'mmssm.{kind}', **arguments})


def sample(side='right', seed=0):
    """A hand whose camera looks along the box's centre, with a mesh and a pose."""
    rng = np.random.default_rng(seed)
    joints = hands.pose(rng, side) / 1000
    joints[:, :2] -= (joints[:, :2].min(0) + joints[:, :2].max(0)) / 2
    K = np.array([[300, 0, 80], [0, 300, 60], [0, 0, 1.0]])
    return {
        'img': rng.integers(0, 255, (120, 160, 3)).astype(np.uint8),
        'img_shape': (120, 160),
        'img_path': 'a/7.jpg',
        'bbox': np.array([[50, 40, 110, 80]], np.float32),
        'bbox_center': np.array([[80, 60]], np.float32),
        'bbox_scale': np.array([[100, 100]], np.float32),
        'keypoints': hands.project(joints, K)[None].astype(np.float32),
        'keypoints_visible': np.ones((1, 21), np.float32),
        'keypoints_cam': joints[None].astype(np.float32),
        'vertices': (joints[None] + rng.normal(0, 0.01, (1, 21, 3))).astype(np.float32),
        'mano_pose': rng.normal(0, 0.7, (1, 48)).astype(np.float32),
        'mano_betas': rng.normal(0, 1, (1, 10)).astype(np.float32),
        'hand_type': np.array([[side == 'right', side == 'left']], np.float32),
        'K': K,
    }


@pytest.mark.parametrize('degrees', [-150.0, -30.0, 0.0, 12.5, 90.0])
def test_turned_labels_project_onto_the_turned_crop(degrees):
    info = sample()
    K = info['K']
    info['bbox_rotation'] = np.array([degrees])
    info = build('HandMeshCropAffine', input_size=SIZE)(info)
    # the crop's own camera: the image's, scaled to it
    zoom = SIZE[0] / 100
    crop = np.array([[300 * zoom, 0, 32], [0, 300 * zoom, 32], [0, 0, 1]])
    seen = hands.project(info['transformed_keypoints_cam'], crop)
    np.testing.assert_allclose(seen, info['transformed_keypoints'], atol=2e-3)
    # what is of the image stays
    np.testing.assert_allclose(
        hands.project(info['keypoints_cam'], K), info['keypoints'], atol=1e-3
    )
    # the mesh turns like the joints
    for key in ('keypoints_cam', 'vertices'):
        turned = info[key] @ viewing_turn(degrees).T
        np.testing.assert_allclose(info[f'transformed_{key}'], turned, atol=1e-6)


@pytest.mark.parametrize('degrees', [-75.0, 40.0])
def test_a_turned_pose_gives_the_turned_hand(degrees):
    model = load_hand_model(free_hand_file(), torch.float64)
    pose = np.random.default_rng(1).normal(0, 0.5, (3, 48))
    turn = viewing_turn(degrees)

    def posed(values):
        turns = axis_angle_to_matrix(torch.from_numpy(values).reshape(-1, 16, 3))
        return pose_hand(model, turns)

    before, after = posed(pose), posed(turn_wrist(pose, turn))
    for old, new in ((before.joints, after.joints), (before.vertices, after.vertices)):
        relative = (old - before.joints[:, :1]) @ torch.from_numpy(turn).T
        torch.testing.assert_close(new - after.joints[:, :1], relative)


def test_a_mirrored_pose_gives_the_mirrored_hand():
    model = load_hand_model(free_hand_file(), torch.float64)
    flip = torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    left = torch.randn(2, 16, 3, dtype=torch.float64) * 0.5
    # rotations of the mirrored skeleton
    matrices = axis_angle_to_matrix(left)
    mirrored = flip[:, None] * matrices * flip
    info = sample('left')
    info['mano_pose'] = left[:1].reshape(1, 48).numpy()
    info = build('HandMeshCropAffine', input_size=SIZE)(info)
    info = build('MirrorLeftHand')(info)
    pose = torch.from_numpy(info['transformed_mano_pose']).double().reshape(1, 16, 3)
    ours = pose_hand(model, axis_angle_to_matrix(pose))
    theirs = pose_hand(model, mirrored[:1])
    torch.testing.assert_close(ours.vertices, theirs.vertices, atol=1e-5, rtol=0)


def test_mirroring_twice_changes_nothing():
    mirror = build('RandomMirrorHand', prob=1.0)
    info = build('HandMeshCropAffine', input_size=SIZE)(sample())
    keys = [key for key in info if key.startswith('transformed')] + ['img']
    assert len(keys) == 5
    before = {key: info[key].copy() for key in keys}
    once = mirror(info)
    assert once['crop_mirrored']
    for key in keys:
        assert not np.allclose(once[key], before[key])
    x = once['transformed_keypoints'][..., 0]
    np.testing.assert_allclose(x, 63 - before['transformed_keypoints'][..., 0])
    points = once['transformed_keypoints_cam']
    np.testing.assert_array_equal(
        points, before['transformed_keypoints_cam'] * np.float32([-1, 1, 1])
    )
    twice = mirror(once)
    assert not twice['crop_mirrored']
    for key in keys:
        np.testing.assert_allclose(twice[key], before[key], atol=1e-5)


def test_a_left_crop_projects_like_a_right_one():
    info = build('HandMeshCropAffine', input_size=SIZE)(sample('left'))
    info = build('MirrorLeftHand')(info)
    zoom = SIZE[0] / 100
    crop = np.array([[300 * zoom, 0, 31], [0, 300 * zoom, 32], [0, 0, 1]])
    seen = hands.project(info['transformed_keypoints_cam'], crop)
    np.testing.assert_allclose(seen, info['transformed_keypoints'], atol=2e-3)
    assert info['keypoints_cam'][0, 5, 0] == -info['transformed_keypoints_cam'][0, 5, 0]


@pytest.mark.parametrize(
    ('box', 'factor', 'aspect', 'side'),
    [
        ([10, 10, 40, 40], 1.0, (192, 256), 40),  # extended to 30 x 40
        ([10, 10, 40, 90], 1.0, (192, 256), 80),  # tall enough
        ([10, 10, 70, 20], 2.0, (192, 256), 160),
        ([10, 10, 70, 20], 2.0, None, 120),
        ([10, 10, 40, 40], 1.0, (256, 192), 40),
    ],
)
def test_boxes_become_squares_by_the_rule(box, factor, aspect, side):
    info = sample()
    info['bbox'] = np.array([box], np.float32)
    info = build('HandMeshCropBox', factor=factor, aspect=aspect)(info)
    np.testing.assert_allclose(info['bbox_scale'], [[side, side]])
    np.testing.assert_allclose(
        info['bbox_center'], [[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]]
    )


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        ([[np.nan, 1, 2, 3]], r'of a sample \(a/7\.jpg\) is NaN'),
        ([[5, 5, 5, 9]], 'has no size'),
        ([[9, 5, 5, 9]], 'has no size'),
        ([[200, 5, 300, 9]], r'lies outside the image of 160 x 120 pixels'),
        ([[-9, -9, -1, 9]], 'lies outside'),
        ([], 'are not one'),
    ],
)
def test_boxes_that_cannot_be_cut_out_are_named(box, message):
    info = {**sample(), 'bbox': np.array(box, np.float32)}
    with pytest.raises(ValueError, match=message):
        build('HandMeshCropBox')(info)
    assert build('HandMeshCropBox', invalid='skip')(info) is None


def test_a_box_partly_outside_is_filled_with_black():
    info = sample()
    info['img'][:] = 255
    info['bbox'] = np.array([[-30, 20, 30, 80]], np.float32)
    info = build('HandMeshCropBox', factor=1.0)(info)
    crop = build('HandMeshCropAffine', input_size=SIZE)(info)['img']
    assert crop[:, 0].max() == 0 and crop[32, -1].min() == 255


def test_jitter_stays_within_its_limits():
    np.random.seed(0)
    jitter = build('HandMeshCropJitter')
    drawn = [jitter._get_transform_params(200) for _ in range(10)]
    offset, scale, rotation = (np.concatenate(one) for one in zip(*drawn, strict=True))
    assert np.abs(offset).max() == pytest.approx(0.02)
    assert scale.min() == pytest.approx(0.7) and scale.max() == pytest.approx(1.3)
    assert np.abs(rotation).max() == pytest.approx(60)
    assert np.mean(rotation != 0) == pytest.approx(0.6, abs=0.05)
    # clipped, not cut off: the limits themselves are frequent
    assert np.mean(np.isclose(scale, 1.3)) == pytest.approx(0.16, abs=0.03)
    info = jitter(sample())
    assert info['bbox_rotation'].shape == (1,) and info['bbox_scale'].shape == (1, 2)


def test_shrunk_images_are_blurred_before():
    info = sample()
    board = (np.indices((120, 160)).sum(0) % 2 * 255).astype(np.uint8)
    info['img'] = np.repeat(board[..., None], 3, -1)
    info['bbox_scale'] = np.full((1, 2), 170, np.float32)
    plain = build('HandMeshCropAffine', input_size=SIZE, blur_above=None)(dict(info))
    soft = build('HandMeshCropAffine', input_size=SIZE)(dict(info))
    inner = slice(16, 48)
    assert soft['img'][inner, inner].std() < 0.6 * plain['img'][inner, inner].std()
    enlarged = {**info, 'bbox_scale': np.full((1, 2), 60, np.float32)}
    one = build('HandMeshCropAffine', input_size=SIZE)(dict(enlarged))['img']
    two = build('HandMeshCropAffine', input_size=SIZE, blur_above=None)(dict(enlarged))
    np.testing.assert_array_equal(one, two['img'])


def test_a_part_is_blurred_as_the_whole_is():
    import cv2

    info = sample()
    info['img'] = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    info['bbox_center'] = np.full((1, 2), 450, np.float32)
    info['bbox_scale'] = np.full((1, 2), 200, np.float32)
    info['bbox_rotation'] = np.array([45.0])
    whole = {**info, 'img': cv2.GaussianBlur(info['img'], (0, 0), (200 / 64 - 1) / 2)}
    soft = build('HandMeshCropAffine', input_size=SIZE)(dict(info))['img']
    plain = build('HandMeshCropAffine', input_size=SIZE, blur_above=None)(whole)['img']
    np.testing.assert_array_equal(soft, plain)


def test_channels_gain_apart():
    np.random.seed(0)
    image = np.full((4, 4, 3), 100, np.uint8)
    changed = build('RandomChannelGain', gain=0.2)({'img': image})['img']
    assert changed.dtype == np.uint8
    values = changed[0, 0].astype(int)
    assert len(set(values)) == 3 and (np.abs(values - 100) <= 20).all()
    bright = build('RandomChannelGain')({'img': np.full((4, 4, 3), 255, np.uint8)})
    assert bright['img'].max() <= 255 and bright['img'].min() >= 204


@pytest.mark.parametrize(
    ('kind', 'arguments', 'message'),
    [
        ('HandMeshCropBox', {'factor': 0}, 'factor must be positive'),
        ('HandMeshCropBox', {'aspect': (1, 0)}, 'aspect must be a width'),
        ('HandMeshCropBox', {'invalid': 'no'}, "invalid must be 'raise' or 'skip'"),
        ('HandMeshCropJitter', {'scale': 1.0}, 'scale must be in'),
        ('HandMeshCropJitter', {'shift': -1}, 'must not be negative'),
        ('HandMeshCropAffine', {'input_size': (256, 192)}, 'must be square'),
        ('HandMeshCropAffine', {'blur_above': 0.5}, 'at least 1'),
        ('RandomChannelGain', {'gain': 1.0}, r'in \[0, 1\)'),
    ],
)
def test_arguments_are_checked(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(kind, **arguments)
