"""Views of a crop: what is seen, and predictions turned back."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.datasets.transforms import TopdownAffine

from mmssm.geometry.cameras import project_to_crop, weak_perspective_translation
from mmssm.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mmssm.models.pose_estimators.crop_view import CropView, average_hands

SIDE = 96
MIRROR = np.diag([-1.0, 1.0, 1.0])


def smooth_image(seed=0, size=160):
    noise = np.random.default_rng(seed).uniform(0, 255, (size, size, 3))
    return cv2.GaussianBlur(noise, (0, 0), 5).astype(np.float32)


def cut(image, center, scale, rotation):
    """A crop by MMPose's transform."""
    results = dict(
        img=image,
        bbox_center=np.array([center], np.float32),
        bbox_scale=np.array([[scale, scale]], np.float32),
        bbox_rotation=np.array([rotation], np.float32),
    )
    crop = TopdownAffine((SIDE, SIDE)).transform(results)['img']
    return torch.from_numpy(crop).permute(2, 0, 1)[None]


VIEWS = [
    CropView(),
    CropView(mirrored=True),
    CropView(scale=0.7),
    CropView(rotation=30.0),
    CropView(rotation=-70.0, scale=0.8),
    CropView(rotation=90.0, scale=1.1, mirrored=True),
]


@pytest.mark.parametrize('view', VIEWS, ids=str)
def test_a_view_is_what_the_pipeline_would_have_cut_out(view):
    image, center = smooth_image(), (81.0, 77.0)
    seen = view.see(cut(image, center, SIDE, 0.0), torch.zeros(3))
    expected = cut(image, center, view.scale * SIDE, view.rotation)
    if view.mirrored:
        expected = expected.flip(-1)
    # Corners that reach beyond the crop are black here, image there.
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    inside = torch.from_numpy(np.hypot(x, y) * view.scale < SIDE / 2 - 2)
    error = (seen - expected)[..., inside].abs()
    assert error.mean() < 0.3 and error.max() < 2


def test_beyond_the_crop_there_is_the_border():
    border = torch.tensor([0.5, -1.0, 2.0])
    seen = CropView(scale=1.5).see(torch.zeros(2, 3, 16, 16), border)
    torch.testing.assert_close(seen[:, :, 0, 0], border.expand(2, 3))
    assert not seen[..., 8, 8].any()


def test_the_crop_itself_is_handed_on():
    crops = torch.rand(1, 3, 16, 16)
    assert CropView().see(crops, torch.zeros(3)) is crops


def base_hand(seed=0):
    """A stand-in for a hand model: joints and vertices at rest, wrist not at 0."""
    rng = np.random.default_rng(seed)
    return rng.normal((0.09, 0.01, 0.006), 0.03, (21, 3)), rng.normal(0, 0.04, (30, 3))


def posed(orient, mirrored):
    joints, vertices = base_hand()
    if mirrored:
        joints, vertices = joints @ MIRROR, vertices @ MIRROR
    wrist = joints[0]
    return (joints - wrist) @ orient.T + wrist, (vertices - wrist) @ orient.T + wrist


def predicted(seed=1):
    """What a network sees in some view."""
    rng = np.random.default_rng(seed)
    turns = axis_angle_to_matrix(torch.from_numpy(rng.normal(0, 0.7, (1, 16, 3))))
    joints, vertices = posed(turns[0, 0].numpy(), mirrored=False)
    cam = torch.tensor([[4.0, -0.06, 0.02]], dtype=torch.float64)
    cam_t = weak_perspective_translation(cam)
    places = project_to_crop(torch.from_numpy(joints)[None], cam_t)
    return InstanceData(
        keypoints=((places + 0.5) * SIDE).numpy(),
        keypoint_scores=np.ones((1, 21)),
        keypoints_3d=joints[None],
        mesh_vertices=vertices[None],
        mano_global_orient=turns[:, :1].numpy(),
        mano_hand_pose=turns[:, 1:].numpy(),
        mano_betas=rng.normal(size=(1, 10)),
        pred_cam=cam.numpy(),
        cam_t=cam_t.numpy(),
    )


@pytest.mark.parametrize('view', VIEWS, ids=str)
def test_a_hand_turned_back_is_one_hand_in_all_fields(view):
    hand = predicted()
    before = hand.clone()
    found = view.undo(hand, SIDE)
    # the mesh is that of the parameters
    joints, vertices = posed(found.mano_global_orient[0, 0], view.mirrored)
    np.testing.assert_allclose(found.keypoints_3d[0], joints, atol=1e-6)
    np.testing.assert_allclose(found.mesh_vertices[0], vertices, atol=1e-6)
    # the camera sees it where the keypoints are
    seen = project_to_crop(
        torch.from_numpy(found.keypoints_3d), torch.from_numpy(found.cam_t)
    )
    pixels = (seen.numpy() + 0.5) * SIDE
    np.testing.assert_allclose(pixels, found.keypoints, atol=0.3)
    np.testing.assert_allclose(
        found.cam_t, weak_perspective_translation(torch.from_numpy(found.pred_cam))
    )
    for name, value in before.items():
        np.testing.assert_array_equal(hand.get(name), value)


@pytest.mark.parametrize('view', VIEWS, ids=str)
def test_keypoints_go_back_where_the_pipeline_took_them_from(view):
    from mmpose.structures.bbox import get_warp_matrix

    points = np.random.default_rng(0).uniform(20, 70, (1, 21, 2))
    middle, scale = np.full(2, SIDE / 2), np.full(2, view.scale * SIDE)
    warp = get_warp_matrix(middle, scale, view.rotation, (SIDE, SIDE))
    seen = points @ warp[:, :2].T + warp[:, 2]
    if view.mirrored:
        seen[..., 0] = SIDE - 1 - seen[..., 0]
    hand = predicted()
    hand.keypoints = seen
    np.testing.assert_allclose(view.undo(hand, SIDE).keypoints, points, atol=1e-4)


def test_a_mirrored_poses_axes_have_y_and_z_negated():
    hand = predicted()
    found = CropView(mirrored=True).undo(hand, SIDE)
    for name in ('mano_global_orient', 'mano_hand_pose'):
        ours, theirs = (
            matrix_to_axis_angle(torch.from_numpy(one.get(name))).numpy()
            for one in (found, hand)
        )
        np.testing.assert_allclose(ours, theirs * [1, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(found.mano_betas, hand.mano_betas)
    np.testing.assert_array_equal(found.keypoints_3d, hand.keypoints_3d @ MIRROR)


def test_a_mirror_twice_is_none():
    view, hand = CropView(mirrored=True), predicted()
    found = view.undo(view.undo(hand, SIDE), SIDE)
    for name, value in hand.items():
        np.testing.assert_allclose(found.get(name), value, atol=1e-9, err_msg=name)


def test_the_mean_of_one_hand_is_that_hand():
    hand = predicted()
    mean = average_hands([hand.clone() for _ in range(3)])
    for name, value in hand.items():
        np.testing.assert_allclose(mean.get(name), value, atol=1e-6, err_msg=name)
    assert average_hands([hand]) is hand


def test_means_are_means_and_rotations_stay_rotations():
    hands = [predicted(seed) for seed in (1, 2, 3)]
    hands[1].pred_cam, hands[1].cam_t = hands[1].pred_cam * 2, hands[1].cam_t / 2
    mean = average_hands(hands)
    for name in ('keypoints', 'keypoints_3d', 'mesh_vertices', 'mano_betas'):
        values = [hand.get(name) for hand in hands]
        np.testing.assert_allclose(mean.get(name), sum(values) / 3)
    rotations = mean.mano_hand_pose
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(-1, -2), np.eye(3) + 0 * rotations, atol=1e-9
    )
    assert (np.linalg.det(rotations) > 0).all()
    expected = weak_perspective_translation(torch.from_numpy(mean.pred_cam))
    np.testing.assert_allclose(mean.cam_t[:, 2], expected[:, 2])


def test_hands_are_averaged_at_the_wrist_and_stay_where_they_are():
    one = predicted()
    other = one.clone()
    shift = np.array([[0.02, -0.03, 0.0]])
    other.keypoints_3d = one.keypoints_3d + shift
    other.mesh_vertices = one.mesh_vertices + shift
    other.cam_t = one.cam_t - shift
    other.pred_cam = one.pred_cam - [[0, 0.02, -0.03]]
    mean = average_hands([one, other])
    for name, value in one.items():
        np.testing.assert_allclose(mean.get(name), value, atol=1e-9, err_msg=name)
