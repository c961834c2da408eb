"""Meshes over images: where the camera has them, in the right order of depth."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample, merge_data_samples
from PIL import Image
from torch import nn

from mmssm.engine.hooks import HandMeshVisualizationHook
from mmssm.models.layers import MANO
from mmssm.registry import HOOKS, VISUALIZERS
from mmssm.visualization import (
    HandMeshVisualizer,
    draw_meshes,
    draw_view,
    place_meshes,
)

# a square of half a metre, seen from its front
SQUARE = np.array(
    [[-0.25, -0.25, 0], [0.25, -0.25, 0], [0.25, 0.25, 0], [-0.25, 0.25, 0]]
)
QUAD = np.array([[0, 2, 1], [0, 3, 2]])
CAMERA = np.array([[40.0, 0, 30], [0, 40, 20], [0, 0, 1]])
GREY = np.full((40, 60, 3), 128, np.uint8)


def squares(*places):
    vertices = np.array([SQUARE + place for place in places])
    return place_meshes(vertices, QUAD, np.tile(CAMERA, (len(places), 1, 1)))


def covered(picture, image=GREY):
    return (picture != image).any(-1)


def test_a_mesh_is_where_the_camera_has_it():
    picture = draw_meshes(GREY, squares([0.25, 0, 1]), 1.0)
    mask = covered(picture)
    # x: 30 + 40 (0 to 0.5), y: 20 + 40 (-0.25 to 0.25), and pixels cut at their edge
    assert mask[12:29, 31:49].all()
    mask[9:32, 29:52] = False
    assert not mask.any()
    assert (GREY == 128).all()


def test_nearer_hands_cover_farther_ones_in_any_order():
    near, far = [0, 0, 1], [0.3, 0, 1.5]
    one = draw_meshes(GREY, squares(near, far), 1.0)
    blue, orange = one[20, 35], one[20, 43]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    other = draw_meshes(GREY, squares(far, near), 1.0)
    assert other[20, 35][0] > other[20, 35][2]
    assert other[20, 43][2] > other[20, 43][0]


def test_what_is_behind_or_beside_is_not_seen():
    for place in ([0, 0, -1], [9, 0, 1], [0, 9, 1]):
        np.testing.assert_array_equal(draw_meshes(GREY, squares(place)), GREY)
    np.testing.assert_array_equal(draw_meshes(GREY, []), GREY)
    slanted = place_meshes(
        np.array(
            [SQUARE @ np.diag([1, 1, 0]) + [[0, 0, -1], [0, 0, 2], [0, 0, 2], [0] * 3]]
        ),
        QUAD,
        CAMERA[None],
    )
    assert covered(draw_meshes(GREY, slanted)).any()


def test_opacity_lets_the_image_through():
    image = np.where(np.arange(60)[:, None] % 20 < 10, 30, 220) * np.ones((40, 1, 3))
    image = image.astype(np.uint8)
    solid, clear = (draw_meshes(image, squares([0, 0, 1]), o) for o in (1.0, 0.5))
    inside = (slice(14, 26), slice(24, 36))
    mean = (solid[inside].astype(float) + image[inside]) / 2
    np.testing.assert_allclose(clear[inside], mean, atol=1)
    assert np.ptp(solid[inside], axis=(0, 1)).max() == 0


def test_views_turn_the_hand():
    """A flat bar that reaches into depth is long from the side and from above."""
    bar = np.array([[-0.1, 0, 0], [0.1, 0, 0], [0.1, 0, 2], [-0.1, 0, 2]])
    hand = place_meshes(bar[None] + [0, 0, 3], QUAD, CAMERA[None])[0]
    white = np.full((100, 100, 3), 255, np.uint8)
    above = covered(draw_view(hand, 'above', 100), white)[20:]
    assert 60 < above.any(1).sum() <= 80  # up is away, the label left aside
    assert above.any(0).sum() < 15
    side = np.array([[0, -0.1, 0], [0, 0.1, 0], [0, 0.1, 2], [0, -0.1, 2]])
    hand = place_meshes(side[None] + [0, 0, 3], QUAD, CAMERA[None])[0]
    seen = covered(draw_view(hand, 'side', 100), white)[20:]
    assert 80 < seen.any(0).sum() < 90
    assert seen.any(1).sum() < 15


@pytest.fixture(scope='module')
def mano():
    return MANO(flat_hand_mean=False)


@pytest.fixture
def visualizer(mano, request):
    made = VISUALIZERS.build(
        dict(type='mmssm.HandMeshVisualizer', name=request.node.name)
    )
    made.set_faces(mano.faces)
    return made


def predicted(mano, place, left=False, size=(120, 160)):
    hand = mano(*mano.to_rotations(torch.tensor([[1.5, 0, 0] + [0.0] * 45])))
    flip = np.array([-1 if left else 1, 1, 1])
    place, center = np.array([place], np.float32), (size[1] / 2, size[0] / 2)
    joints = hand.joints.numpy() * flip
    seen = joints + place[:, None]
    keypoints = seen[..., :2] / seen[..., 2:] * 300 + center
    sample = PoseDataSample(metainfo=dict(ori_shape=size))
    sample.pred_instances = InstanceData(
        keypoints=keypoints,
        keypoint_scores=np.ones((1, 21)),
        keypoints_3d=joints,
        mesh_vertices=hand.vertices.numpy() * flip,
        full_cam_t=place,
        focal_length=np.full((1, 2), 300.0),
        principal_pt=np.array([center]),
        bboxes=np.array([[5.0, 5, 155, 115]]),
    )
    return sample


IMAGE = np.full((120, 160, 3), 90, np.uint8)


def shown(visualizer, sample, **kwargs):
    """The picture; an image of 120 x 160 is drawn three times as large."""
    picture = visualizer.add_datasample('a', IMAGE, sample, **kwargs)
    assert picture.shape[0] == 360
    return picture


def test_the_hand_lies_under_its_joints(visualizer, mano):
    sample = predicted(mano, [0.02, 0, 0.6])
    picture = shown(visualizer, sample, draw_gt=False)
    assert picture.shape == (360, 480 + 180, 3)
    hand = covered(picture[:, :480], picture[0, 0])
    joints = 3 * sample.pred_instances.keypoints[0] + 1
    for x, y in joints.round().astype(int):
        assert hand[y - 2 : y + 3, x - 2 : x + 3].all()
    assert 0.02 < hand.mean() < 0.5
    # without joints: the mesh alone covers them too
    sample.pred_instances.keypoints_visible = np.zeros((1, 21))
    hand = covered(shown(visualizer, sample, draw_gt=False)[:, :480], picture[0, 0])
    assert hand[tuple(joints.round().astype(int).T[::-1])].mean() > 0.9


def test_large_images_keep_their_size(visualizer, mano):
    image = np.full((300, 410, 3), 90, np.uint8)
    sample = predicted(mano, [0.02, 0, 0.6], size=(300, 410))
    picture = visualizer.add_datasample('a', image, sample, draw_gt=False)
    assert picture.shape == (300, 410 + 150, 3)


def test_boxes_stay_out_of_the_views(visualizer, mano):
    sample = predicted(mano, [0, 0, 0.6])
    sample.pred_instances.bboxes = np.array([[5.0, 5, 300, 100]])
    plain = shown(visualizer, sample, draw_gt=False)
    boxed = shown(visualizer, sample, draw_gt=False, draw_bbox=True)
    assert (boxed[100:200, 16] != plain[100:200, 16]).any()
    np.testing.assert_array_equal(boxed[:, 480:], plain[:, 480:])


def test_both_hands_of_a_picture(visualizer, mano):
    samples = [predicted(mano, [0.06, 0, 0.6]), predicted(mano, [-0.1, 0, 0.6], True)]
    picture = shown(visualizer, merge_data_samples(samples), draw_gt=False)
    assert picture.shape == (360, 480 + 2 * 180, 3)
    hands = covered(picture[:, :480], picture[0, 0])
    assert hands[:, :240].any()
    assert hands[:, 240:].any()


def test_true_meshes_beside_predicted_ones(visualizer, mano):
    sample = predicted(mano, [0, 0, 0.6])
    pred = sample.pred_instances
    sample.gt_instances = InstanceData(
        keypoints=pred.keypoints,
        vertices=pred.mesh_vertices + pred.full_cam_t[:, None],
    )
    wide = shown(visualizer, sample)
    assert wide.shape[1] == 480 + (480 + 180)  # no camera, no true mesh
    sample.set_metainfo(dict(focal=[300.0, 300], principal_pt=[80.0, 60]))
    wide = shown(visualizer, sample)
    assert wide.shape[1] == 2 * (480 + 180)
    np.testing.assert_array_equal(wide[:, :660], wide[:, 660:])
    sample.gt_instances.vertices[:] = 0  # not known
    assert shown(visualizer, sample).shape[1] == 480 + 660


def test_says_what_is_missing(visualizer, mano):
    sample = predicted(mano, [0, 0, 0.6])
    visualizer.faces = None
    with pytest.raises(ValueError, match='HandMeshVisualizationHook'):
        shown(visualizer, sample, draw_gt=False)
    del sample.pred_instances.full_cam_t
    with pytest.raises(ValueError, match=r"lack \['full_cam_t'\]"):
        shown(visualizer, sample, draw_gt=False)
    del sample.pred_instances.mesh_vertices
    picture = shown(visualizer, sample, draw_gt=False)
    assert picture.shape == (360, 480, 3)


@pytest.fixture
def runner(mano, tmp_path):
    evaluator = SimpleNamespace(dataset_meta={})
    return SimpleNamespace(
        model=nn.Sequential(mano),
        val_evaluator=evaluator,
        test_evaluator=evaluator,
        work_dir=str(tmp_path),
        timestamp='now',
        iter=0,
    )


def test_pictures_of_a_test_go_to_the_folder(runner, mano, tmp_path, request):
    HandMeshVisualizer.get_instance(request.node.name)
    sample = predicted(mano, [0, 0, 0.6])
    kind = dict(type='mmssm.HandMeshVisualizationHook', interval=3)
    hook = HOOKS.build(dict(**kind, enable=True, out_dir='shown'))
    hook.before_test_epoch(runner)
    samples = [sample.clone() for _ in range(5)]
    for number, one in enumerate(samples):
        path = tmp_path / f'hand{number}.png'
        Image.fromarray(IMAGE).save(path)
        one.set_metainfo(dict(img_path=str(path)))
    hook.after_test_iter(runner, 0, {}, samples[:2])
    hook.after_test_iter(runner, 1, {}, samples[2:])
    made = sorted((tmp_path / 'now/shown').iterdir())
    assert [path.name for path in made] == ['hand0_0.png', 'hand3_0.png']
    with Image.open(made[0]) as picture:
        assert picture.size == (480 + 180, 360)


def test_the_hook_says_what_does_not_fit(runner, request, monkeypatch):
    HandMeshVisualizer.get_instance(request.node.name)
    runner.model = nn.Linear(1, 1)
    HandMeshVisualizationHook().before_val_epoch(runner)  # off: nothing is asked
    hook = HandMeshVisualizationHook(enable=True)
    with pytest.raises(TypeError, match=r'needs a network with mmssm\.MANO'):
        hook.before_val_epoch(runner)
    monkeypatch.setattr(hook, '_visualizer', None)
    with pytest.raises(TypeError, match='the visualizer is NoneType'):
        hook.before_test_epoch(runner)
