"""MMPose's inferencer of 3D poses lifts clips."""

import itertools

import cv2
import numpy as np
import pytest
from helpers import walkers
from mmengine.structures import InstanceData
from mmpose.apis.inferencers import MMPoseInferencer, Pose3DInferencer
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401
from mmssm.apis.catalog import find_model
from mmssm.apis.lifter import Lifter
from mmssm.compat import inferencers

ALIAS = 'posemamba-mocap-27frm'
FRAMES = 30


class Pose2D:
    """Stands for the 2D inferencer: somebody walks."""

    def __init__(self, *args, **kwargs):
        self.model = self
        self.dataset_meta = {'dataset_name': 'h36m'}
        self.frames = itertools.cycle(walkers.film(FRAMES)[0])

    def __call__(self, inputs, **kwargs):
        keypoints = next(self.frames)[None].astype(np.float32)
        box = np.concatenate([keypoints[0].min(0), keypoints[0].max(0)])[None]
        sample = PoseDataSample(
            metainfo={'ori_shape': (1000, 1000), 'img_path': 'walk.png'},
            pred_instances=InstanceData(
                keypoints=keypoints,
                keypoint_scores=np.ones((1, 17), np.float32),
                bboxes=box,
            ),
            gt_instances=InstanceData(),
        )
        yield {'predictions': [sample]}


@pytest.fixture
def build(monkeypatch):
    """Makes inferencers of our model."""
    monkeypatch.setattr(
        'mmpose.apis.inferencers.pose3d_inferencer.Pose2DInferencer', Pose2D
    )
    entry = find_model(ALIAS)

    def make(kind=Pose3DInferencer, model='model', weights='weights', **changes):
        arguments = {model: str(entry.config), weights: str(entry.weights)}
        return kind(**arguments, device='cpu', **changes)

    return make


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """A video of black frames."""
    path = tmp_path_factory.mktemp('video') / 'walk.avi'
    size = walkers.SIZE
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20, size)
    for _ in range(FRAMES):
        writer.write(np.zeros((size[1], size[0], 3), np.uint8))
    writer.release()
    return str(path)


OPTIONS = {'disable_norm_pose_2d': True, 'disable_rebase_keypoint': True}


def test_frames_are_lifted_with_those_before(build, video):
    inferencer = build()
    lifter = Lifter(ALIAS, device='cpu', stature=None)
    film = walkers.film(FRAMES)[0]
    inputs = np.concatenate([film, np.ones((FRAMES, 17, 1))], -1).astype(np.float32)
    count = 0
    results = inferencer(video, return_datasamples=True, **OPTIONS)
    for frame, result in enumerate(results):
        found = result['predictions'][0].pred_instances
        assert found.keypoints.shape == (1, 17, 3)
        assert found.keypoint_scores.shape == (1, 17)
        if frame in (0, 1, 20, 28):
            window = inputs[np.arange(frame - 26, frame + 1).clip(0)]
            expected = lifter(window[None], walkers.SIZE)[0, -1]
            # the host turns the axes for its drawings
            x, y, z = found.keypoints[0].T
            np.testing.assert_allclose(
                np.stack([-x, -z, y], -1), expected, atol=1e-4, err_msg=str(frame)
            )
        assert len(inferencer._buffer['pose_est_results_list']) <= 27
        count += 1
    assert count == FRAMES


def test_the_inferencer_for_all_tasks_is_cured_too(build, video):
    inferencer = build(
        MMPoseInferencer, model='pose3d', weights='pose3d_weights', pose2d='body'
    )
    results = itertools.islice(inferencer(video, **OPTIONS), 3)
    poses = [result['predictions'][0] for result in results]
    assert len(poses) == 3
    # one person, not one for each frame of the clip
    assert all(len(people) == 1 for people in poses)


def test_images_are_lifted_one_by_one(build):
    """Each as a clip of somebody who stands still, not as a clip of one frame."""
    inferencer = build()
    image = np.zeros((1000, 1000, 3), np.uint8)
    results = list(inferencer([image, image], return_datasamples=True, **OPTIONS))
    shapes = [r['predictions'][0].pred_instances.keypoints.shape for r in results]
    assert shapes == [(1, 17, 3)] * 2
    points = walkers.film(FRAMES)[0][1]
    still = np.concatenate([points, np.ones((17, 1))], -1)[None].repeat(27, 0)
    lifter = Lifter(ALIAS, device='cpu', stature=None)
    expected = lifter(still[None].astype(np.float32), walkers.SIZE)[0, -1]
    x, y, z = results[1]['predictions'][0].pred_instances.keypoints[0].T
    np.testing.assert_allclose(np.stack([-x, -z, y], -1), expected, atol=1e-4)


def test_no_noise_is_drawn(build):
    inferencer = build()
    steps = inferencer.pipeline.args[0].transforms
    assert not any('Noise' in type(step).__name__ for step in steps)
    image = np.zeros((1000, 1000, 3), np.uint8)
    inferencer.pose2d_model._inferencer.frames = itertools.repeat(walkers.film(1)[0][0])
    one, other = (
        r['predictions'][0][0]['keypoints'] for r in inferencer([image] * 2, **OPTIONS)
    )
    np.testing.assert_array_equal(one, other)


def test_without_the_cure_the_host_fails(build, video, monkeypatch):
    """Fails once MMPose lifts clips: then the cure can go."""
    stock = Pose3DInferencer.__init__.__wrapped__
    monkeypatch.setattr(Pose3DInferencer, '__init__', stock)
    with pytest.raises(ValueError, match='broadcast'):
        next(build()(video, **OPTIONS))


def test_without_the_cure_people_have_new_numbers_in_every_frame(build, video):
    """Fails once MMPose keeps the people of the frame before."""
    inferencer = build()
    numbers = [[], []]
    for cured, found in zip((True, False), numbers, strict=True):
        if not cured:
            inferencer.pose2d_model = inferencer.pose2d_model._inferencer
        for _ in itertools.islice(inferencer(video, **OPTIONS), 4):
            newest = inferencer._buffer['pose_est_results_list'][-1]
            found.append(newest[0].track_id)
        inferencer._buffer.clear()
    assert numbers == [[0] * 4, [0, 1, 2, 3]]


def test_lifters_of_single_frames_are_left_alone():
    class Other:
        class model:
            class head:
                decoder = None

    assert inferencers.clip_length(Other) == 1


def test_the_cure_is_put_in_place_once():
    cured = Pose3DInferencer.__init__
    inferencers.lift_clips_in_inferencers()
    assert Pose3DInferencer.__init__ is cured
