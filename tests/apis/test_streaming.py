"""Lifting frame by frame: as all at once, missing joints, several people."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import walkers
from helpers.lifting import FLIP_INDICES, tiny_model
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from numpy.testing import assert_allclose, assert_array_equal

import mmssm.registry  # noqa: F401
from mmssm.apis import PoseLifterInferencer
from mmssm.apis.streaming import StreamingLifter
from mmssm.datasets import MocapDataset
from mmssm.geometry.root_placement import BONES_PER_STATURE
from mmssm.structures import h36m
from mmssm.structures.tracks import KeypointTrack
from mmssm.utils.errors import UserError

ALIAS = 'posemamba-mocap-causal-27frm'
SIZE = (1000, 800)


def build(**backbone):
    torch.manual_seed(0)
    config = tiny_model(in_channels=3, causal=True, d_state=4, **backbone)
    config['head']['decoder']['concat_vis'] = True
    model = MODELS.build(config).eval()
    torch.nn.init.normal_(model.backbone.frame_pos)
    return model


def video(frames: int, people: int = 1, seed: int = 0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(200, 600, (people, 1, 17, 2))
    points = start + rng.normal(0, 5, (people, frames, 17, 2)).cumsum(1)
    return points.astype(np.float32), rng.uniform(0.5, 1, points.shape[:3])


def at_once(model, points, scores, flip_test: bool):
    """What the estimator's own test pass makes of the whole video of one person."""
    encoded = model.head.decoder.encode(
        points,
        scores.astype(np.float32),
        lifting_target=np.zeros((*points.shape[:2], 3), np.float32),
        camera_param=dict(w=SIZE[0], h=SIZE[1]),
    )
    factor = np.full((len(points), 1), 4.0, np.float32)
    sample = PoseDataSample(
        metainfo=dict(
            flip_indices=FLIP_INDICES,
            camera_param=dict(w=SIZE[0], h=SIZE[1]),
            factor=factor,
        )
    )
    sample.gt_instances = InstanceData()
    model.test_cfg['flip_test'] = flip_test
    inputs = torch.from_numpy(encoded['keypoint_labels'])[None].float()
    with torch.no_grad():
        (result,) = model.predict(inputs, [sample])
    return np.asarray(result.pred_instances.keypoints).reshape(len(points), 17, 3)


@pytest.mark.parametrize('flip_test', [False, True])
def test_frames_become_what_the_whole_video_becomes(flip_test):
    model = build()
    points, scores = video(14, people=2)
    lifter = StreamingLifter(
        model, SIZE, num_people=2, flip_test=flip_test, stature=None
    )
    steps = [lifter.step(points[:, t], scores[:, t]) for t in range(14)]
    poses = np.stack([step.keypoints_3d for step in steps], 1)
    assert poses.dtype == np.float32
    assert not any(step.filled_joints.any() for step in steps)
    for person in range(2):
        whole = at_once(model, points[person], scores[person], flip_test)
        assert_allclose(poses[person], whole, atol=1e-5)
    assert not poses[:, :, 0].any()


def test_the_model_says_whether_to_mirror():
    model = build()
    points, scores = video(1)
    plain = StreamingLifter(model, SIZE).step(points[:, 0], scores[:, 0])
    model.test_cfg['flip_test'] = True
    both = StreamingLifter(model, SIZE).step(points[:, 0], scores[:, 0])
    assert not np.allclose(plain.keypoints_3d, both.keypoints_3d)


def test_people_are_as_tall_as_asked_for():
    points, _ = video(3)
    small, tall = (StreamingLifter(build(), SIZE, stature=s) for s in (1.2, 1.8))
    bones = np.array(h36m.SKELETON)
    for t in range(3):
        one, other = (s.step(points[:, t]).keypoints_3d[0] for s in (small, tall))
        assert_allclose(1.5 * one, other, rtol=1e-5, atol=1e-6)
        lengths = np.linalg.norm(other[bones[:, 1]] - other[bones[:, 0]], axis=-1)
        assert lengths.sum() == pytest.approx(1.8 * BONES_PER_STATURE, rel=1e-5)


@pytest.mark.parametrize('flip_test', [False, True])
def test_the_inferencer_gives_the_same_at_once_and_as_frames_come(flip_test):
    """By any of the three, also where joints are missing at the end or doubtful."""
    whole = walkers.sequence(30, ['walk', 'run'], noise=3)
    for track in whole.tracks:
        track.scores[5:, 3] = 0.2  # never certain, or not for long
        track.scores[24:, 6] = 0
        track.keypoints[24:, 6] = np.nan
    infer = PoseLifterInferencer(ALIAS, device='cpu', flip_test=flip_test)
    lifter = StreamingLifter(ALIAS, walkers.SIZE, 2, device='cpu', flip_test=flip_test)
    steps = [
        lifter.step(
            np.stack([track.keypoints[t] for track in whole.tracks]),
            np.stack([track.scores[t] for track in whole.tracks]),
        )
        for t in range(30)
    ]
    streamed = list(infer.stream(whole))
    for row, person in enumerate(infer(whole).persons):
        for t, frame in enumerate(streamed):
            one = frame.persons[row]
            assert one.frames.tolist() == [frame.number] == [t]
            assert_allclose(one.keypoints_3d[0], steps[t].keypoints_3d[row], atol=1e-5)
            assert_array_equal(one.keypoints[0], steps[t].keypoints[row])
            assert_array_equal(one.filled_joints[0], steps[t].filled_joints[row])
        # up to where a guess is taken, which a whole track knows beforehand
        early = np.stack([step.keypoints_3d[row] for step in steps[:5]])
        assert_allclose(person.keypoints_3d[:5], early, atol=1e-5)
        later = np.stack([step.keypoints[row] for step in steps])
        assert_array_equal(person.keypoints[20:], later[20:])


@pytest.mark.parametrize('gap', [9, 30])
def test_people_come_and_go_in_a_stream(gap):
    whole = walkers.sequence(50)
    track = whole.tracks[0]
    rows = np.r_[3:12, 12 + gap : 50]
    seen = KeypointTrack(7, rows, track.keypoints[rows], track.scores[rows])
    infer = PoseLifterInferencer(ALIAS, device='cpu', flip_test=False, place_root=True)
    frames = list(infer.stream(replace(whole, tracks=[seen])))
    assert [frame.number for frame in frames] == list(range(50))
    there = [frame for frame in frames if frame.persons]
    assert [frame.number for frame in there] == rows.tolist()
    for frame in there:
        (person,) = frame.persons
        assert person.track_id == 7 and not person.filled.any()
        assert np.isfinite(person.keypoints_camera).all()
    alone = StreamingLifter(infer.lifter, walkers.SIZE)
    again = alone.step(track.keypoints[None, rows[9]], track.scores[None, rows[9]])
    same = np.allclose(there[9].persons[0].keypoints_3d, again.keypoints_3d)
    assert same == (gap > infer.gaps.max_gap)


def test_a_causal_model_has_neither_windows_nor_latency():
    infer = PoseLifterInferencer(ALIAS, device='cpu')
    with pytest.raises(ValueError, match=r'never looks ahead .* leave out latency'):
        next(infer.stream(walkers.sequence(2), latency=5))
    assert len(list(infer.stream(walkers.sequence(2), latency=0))) == 2
    with pytest.raises(ValueError, match='has no windows: leave out window'):
        PoseLifterInferencer(ALIAS, device='cpu', window=9)


def test_missing_joints_stay_where_they_were():
    model = build()
    points, scores = video(3)
    points[0, 1, 5] = np.nan
    scores[0, 2, 7] = 0
    lifter = StreamingLifter(model, SIZE)
    found = [lifter.step(points[:, t], scores[:, t]) for t in range(3)]
    assert np.argwhere([f.filled_joints for f in found])[:, [0, 2]].tolist() == [
        [1, 5],
        [2, 7],
    ]
    held, trust = points.copy(), scores.copy()
    held[0, 1, 5], trust[0, 1, 5] = points[0, 0, 5], 0.3
    held[0, 2, 7], trust[0, 2, 7] = points[0, 1, 7], 0.3
    other = StreamingLifter(model, SIZE)
    for t in range(3):
        expected = other.step(held[:, t], trust[:, t]).keypoints_3d
        assert_array_equal(found[t].keypoints_3d, expected)


def test_joints_of_low_confidence_are_missing_where_asked():
    points, scores = video(2)
    scores[0, 1, 4] = 0.2
    lifter = StreamingLifter(build(), SIZE, min_score=0.3)
    lifter.step(points[:, 0], scores[:, 0])
    filled = lifter.step(points[:, 1], scores[:, 1]).filled_joints
    assert np.flatnonzero(filled[0]).tolist() == [4]


def test_what_is_doubtful_for_long_is_taken_as_it_is():
    points, scores = video(20)
    scores[0, 2:, 4] = 0.2
    lifter = StreamingLifter(build(), SIZE, max_gap=5)
    found = [lifter.step(points[:, t], scores[:, t]) for t in range(20)]
    held = [bool(step.filled_joints[0, 4]) for step in found]
    assert held == [False] * 2 + [True] * 5 + [False] * 13
    places = np.stack([step.keypoints[0, 4] for step in found])
    expected = points[0, [0, 1, *[1] * 5, *range(7, 20)], 4]
    assert_array_equal(places, expected)


def test_joints_that_were_never_seen_are_at_their_relatives():
    points, scores = video(2)
    scores[0, :, 15:] = 0  # right elbow and wrist
    step = StreamingLifter(build(), SIZE).step(points[:, 0], scores[:, 0])
    assert_array_equal(step.keypoints[0, 15:], points[0, 0, [14, 14]])


def test_who_is_away_for_long_is_forgotten():
    model = build()
    points, scores = video(12)
    points[0, 3:9] = np.nan
    lifter = StreamingLifter(model, SIZE, max_gap=4)
    found = [lifter.step(points[:, t], scores[:, t]).keypoints_3d for t in range(12)]
    there = [bool(np.isfinite(poses).all()) for poses in found]
    assert there == [True] * 7 + [False] * 2 + [True] * 3
    fresh = StreamingLifter(model, SIZE)
    for t in range(9, 12):
        expected = fresh.step(points[:, t], scores[:, t]).keypoints_3d
        assert_array_equal(found[t], expected)


def test_a_row_is_empty_until_someone_is_seen():
    model = build()
    points, scores = video(4, people=2)
    late = points.copy()
    late[1, :2] = np.nan
    lifter = StreamingLifter(model, SIZE, num_people=2)
    early = [lifter.step(late[:, t], scores[:, t]) for t in range(4)]
    for t in (0, 1):
        assert np.isnan(early[t].keypoints_3d[1]).all()
        assert np.isfinite(early[t].keypoints_3d[0]).all()
    alone = StreamingLifter(model, SIZE)
    for t in (2, 3):
        expected = alone.step(points[1:, t], scores[1:, t]).keypoints_3d[0]
        assert_allclose(early[t].keypoints_3d[1], expected, atol=1e-6)


def test_reset_makes_room_for_someone_else():
    model = build()
    points, scores = video(5, people=2)
    lifter = StreamingLifter(model, SIZE, num_people=2, flip_test=True)
    for t in range(4):
        lifter.step(points[:, t], scores[:, t])
    kept = lifter.state_dict()
    lifter.reset([1])
    poses = lifter.step(points[:, 4], scores[:, 4]).keypoints_3d
    fresh = StreamingLifter(model, SIZE, flip_test=True)
    expected = fresh.step(points[1:, 4], scores[1:, 4]).keypoints_3d[0]
    assert_allclose(poses[1], expected, atol=1e-6)

    lifter.reset()
    lifter.load_state_dict(kept)
    assert_allclose(
        lifter.step(points[:, 4], scores[:, 4]).keypoints_3d[0], poses[0], atol=1e-6
    )
    with pytest.raises(ValueError, match=r'places must be \(1, 17, 2\), got \(2, 17'):
        fresh.load_state_dict(kept)
    with pytest.raises(IndexError, match='streams 0 to 3'):
        lifter.reset([4])


@pytest.mark.parametrize(
    'points, scores, message',
    [
        (np.zeros((1, 16, 2)), None, r'must be \(1, 17, 2\)'),
        (np.full((1, 17, 2), np.inf), None, 'person 0, joint 0: expected pixels'),
        (np.zeros((1, 17, 2)), np.full((1, 17), 40.0), 'a score from 0 to 1'),
        (np.zeros((1, 17, 2)), np.ones(17), r'scores must be \(1, 17\)'),
    ],
)
def test_wrong_frames_are_refused(points, scores, message):
    with pytest.raises(ValueError, match=message):
        StreamingLifter(build(), SIZE).step(points, scores)


def test_wrong_lifters_are_refused():
    looks_ahead = MODELS.build(tiny_model())
    with pytest.raises(ValueError, match='PoseLifter is not a causal lifter'):
        StreamingLifter(looks_ahead, SIZE)
    with pytest.raises(UserError, match='there is no model'):
        StreamingLifter('posemamba-nowhere', SIZE)
    with pytest.raises(ValueError, match='image_size'):
        StreamingLifter(build(), (0, 800))
    with pytest.raises(ValueError, match='stature must be positive'):
        StreamingLifter(build(), SIZE, stature=0)
    with pytest.raises(UserError, match=r'Linear \(codec NoneType'):
        StreamingLifter(torch.nn.Linear(2, 2), SIZE)
    with pytest.raises(ValueError, match='min_score'):
        StreamingLifter(build(), SIZE, min_score=2)


def test_the_shipped_weights_lift_a_video_that_they_have_not_seen():
    """Beside true x and y without depth, at the true scale."""
    dataset = MocapDataset(test_mode=True, seq_len=60)
    for sample in map(dataset.get_data_info, (15, 27, 39)):  # one of each of 3 clips
        camera = sample['camera_param']
        depth = sample['keypoints_3d'][:, 0, 2].mean()
        lifter = StreamingLifter(ALIAS, (camera['w'], camera['h']), stature=None)
        poses = np.stack(
            [lifter.step(frame[None]).keypoints_3d[0] for frame in sample['keypoints']]
        )
        poses *= 1000 * depth / camera['f'].flat[0] / 4  # millimetres per pixel
        truth = sample['keypoints_3d'] - sample['keypoints_3d'][:, :1]
        flat = truth * (1, 1, 0)
        error, of_flat = (
            1000 * np.linalg.norm(found - truth, axis=-1).mean()
            for found in (poses, flat)
        )
        assert error < 0.7 * of_flat
