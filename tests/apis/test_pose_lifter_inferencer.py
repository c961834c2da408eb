"""``PoseLifterInferencer`` with the weights that ship."""

import io
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from helpers import walkers
from helpers.lifting import tiny_model
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from numpy.testing import assert_allclose, assert_array_equal

from mmssm.apis import PoseLifterInferencer, read_lifting_result
from mmssm.apis.catalog import MissingWeightsError, UnknownModelError, find_model
from mmssm.apis.lifter import mirror
from mmssm.inputs import UnreadableSource, write_keypoints
from mmssm.inputs.frontends import Pose2DFrontend
from mmssm.inputs.people import People
from mmssm.structures import h36m
from mmssm.structures.tracks import KeypointSequence, KeypointTrack
from mmssm.utils.errors import UserError

ALIAS = 'posemamba-mocap-27frm'


def inferencer(**arguments):
    """An inferencer that is quick."""
    return PoseLifterInferencer(
        ALIAS, **({'device': 'cpu', 'flip_test': False} | arguments)
    )


@pytest.fixture(scope='module')
def lift():
    return inferencer()


class Walker:
    """A front end to which every frame of a video shows somebody who walks."""

    name, joint_set = 'walker', 'h36m'

    def __init__(self, keypoints, missing=()):
        self.keypoints, self.missing = keypoints, missing

    def start(self):
        self.frame = -1

    def __call__(self, image):
        self.frame += 1
        if self.frame in self.missing:
            return People.nobody(17)
        points = self.keypoints[self.frame][None].astype(np.float32)
        box = np.concatenate([points[0].min(0), points[0].max(0)])[None]
        return People(points, np.full((1, 17), 0.9, np.float32), box)


def write_video(path, num_frames, size=(64, 48)):
    """A video of grey frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20, size)
    for number in range(num_frames):
        writer.write(np.full((size[1], size[0], 3), number, np.uint8))
    writer.release()
    return path


def frontend(num_frames, missing=()):
    keypoints = walkers.film(num_frames)[0] * (64 / 1000, 48 / 1000)
    return Pose2DFrontend(Walker(keypoints, missing))


def test_people_are_lifted(lift):
    """A walk comes out within the error that the model's log has, and its size."""
    result = lift(walkers.sequence(60, ['walk', 'run']))
    assert [person.track_id for person in result.persons] == [0, 1]
    assert result.joint_names == h36m.JOINT_NAMES
    assert result.model == ALIAS and result.fps == 50 and result.num_frames == 60
    for person, clip in zip(result.persons, ('walk', 'run'), strict=True):
        truth = walkers.film(60, clip)[1]
        truth = truth - truth[:, :1]
        assert_array_equal(person.frames, np.arange(60))
        assert (person.keypoints_3d[:, h36m.ROOT] == 0).all()
        size = 1.58 / 1.7  # the actor is shorter than people are taken to be
        error = np.linalg.norm(size * person.keypoints_3d - truth, axis=-1).mean()
        assert error < 0.13
        # upright: the head above the feet, y down
        head, foot = (h36m.JOINT_NAMES.index(name) for name in ('head', 'left_foot'))
        height = person.keypoints_3d[:, foot, 1] - person.keypoints_3d[:, head, 1]
        assert 1.1 < height.mean() < 1.9
    assert 'people are taken to be 1.7 m tall' in ' '.join(result.notes)


def test_a_window_is_what_mmpose_makes_of_it():
    """Codec, network and flip test are those of the config's test pipeline."""
    config = Config.fromfile(find_model(ALIAS).config)
    config.val_dataloader.batch_size = 4
    config.val_dataloader.dataset.indices = 4
    loader = Runner.build_dataloader(config.val_dataloader, seed=0)
    lift = inferencer(stature=None, flip_test=None)
    batch = next(iter(loader))
    for sample in batch['data_samples']:
        # without a camera the codec takes 4 mm for a pixel
        sample.set_metainfo({'factor': np.full((27, 1), 4.0)})
    with torch.no_grad(), DefaultScope.overwrite_default_scope('mmpose'):
        expected = lift.lifter.model.test_step(batch)
    normalised = torch.stack(batch['inputs']).numpy()
    width, height = (batch['data_samples'][0].camera_param[k] for k in 'wh')
    pixels = normalised.copy()
    pixels[..., :2] = (normalised[..., :2] + [1, height / width]) * width / 2
    found = lift.lifter(pixels, (width, height))
    for one, sample in zip(found, expected, strict=True):
        assert_allclose(one, sample.pred_instances.keypoints[0], atol=2e-4)
    assert lift.lifter.flip_test


def test_the_order_of_people_and_the_size_of_batches_do_not_matter(lift):
    whole = walkers.sequence(50, ['walk', 'run', 'jump'], noise=3)
    turned = replace(whole, tracks=whole.tracks[::-1])
    one = {p.track_id: p for p in lift(whole).persons}
    other = {p.track_id: p for p in inferencer(batch_size=2)(turned).persons}
    alone = lift(replace(whole, tracks=whole.tracks[1:2])).persons[0]
    for number, person in one.items():
        assert_allclose(person.keypoints_3d, other[number].keypoints_3d, atol=1e-5)
    assert_allclose(one[1].keypoints_3d, alone.keypoints_3d, atol=1e-5)


@pytest.mark.parametrize('num_frames', [1, 5, 26, 27, 28])
def test_clips_of_any_length_are_lifted(lift, num_frames):
    result = lift(walkers.sequence(num_frames))
    assert result.persons[0].keypoints_3d.shape == (num_frames, 17, 3)
    assert np.isfinite(result.persons[0].keypoints_3d).all()


def test_a_picture_is_lifted_as_well_as_a_clip():
    """One frame alone, of which a network of clips would make nothing."""
    lift = inferencer(stature=1.58)
    errors = []
    for clip in ('walk', 'run', 'jump'):
        truth = walkers.film(1, clip)[1]
        found = lift(walkers.sequence(1, [clip])).persons[0].keypoints_3d
        errors.append(np.linalg.norm(found - truth + truth[:, :1], axis=-1).mean())
    assert np.mean(errors) < 0.13


def test_other_joint_sets_are_brought_to_this_one(lift):
    joints = 17
    keypoints = np.random.default_rng(0).uniform(100, 900, (5, joints, 2))
    track = KeypointTrack(0, np.arange(5), keypoints, np.ones((5, joints)))
    whole = walkers.sequence(5, tracks=[track], joint_set='coco')
    assert len(lift(whole).persons) == 1
    hand = KeypointTrack(0, [0], np.ones((1, 21, 2)), np.ones((1, 21)))
    with pytest.raises(UserError, match='op21 cannot be brought to h36m'):
        lift(walkers.sequence(5, tracks=[hand], joint_set='op21'))


def test_what_was_missing_is_told(lift):
    whole = walkers.sequence(70)
    track = whole.tracks[0]
    kept = np.r_[0:10, 12:30, 50:70]
    scores = track.scores.copy()
    scores[15, 3] = 0.1
    gappy = KeypointTrack(0, kept, track.keypoints[kept], scores[kept])
    (person,) = lift(replace(whole, tracks=[gappy])).persons
    assert_array_equal(person.frames, np.r_[0:30, 50:70])
    assert np.flatnonzero(person.filled).tolist() == [10, 11]
    assert person.filled_joints[15, 3] and person.filled_joints.sum() == 2 * 17 + 1
    notes = ' '.join(lift(replace(whole, tracks=[gappy])).notes)
    assert 'not seen in frames 30 to 49' in notes
    assert '2 frames without detection' in notes
    # the pieces are lifted as if they were videos of their own
    later = KeypointTrack(0, np.arange(20), track.keypoints[50:], track.scores[50:])
    alone = lift(replace(whole, tracks=[later])).persons[0]
    assert_allclose(person.keypoints_3d[-20:], alone.keypoints_3d, atol=1e-5)


def test_nobody_is_a_result_too(lift, tmp_path):
    result = lift(walkers.sequence(4, clips=()))
    assert result.persons == []
    assert result.notes == ('nobody was found in walkers',)
    result.to_json(tmp_path / 'result.json')
    assert read_lifting_result(tmp_path / 'result.json').notes == result.notes


def test_roots_are_placed_where_the_person_walks():
    truth = walkers.film(40)[1]
    lift = inferencer(focal_length=1145.0, stature=1.58)
    result = lift(walkers.sequence(40))
    (person,) = result.persons
    assert result.focal_length == 1145.0
    assert np.abs(person.root_position[:, :2] - truth[:, 0, :2]).mean() < 0.1
    assert_allclose(person.root_position[:, 2], truth[:, 0, 2], rtol=0.2)
    guess = inferencer(place_root=True)(walkers.sequence(3))
    assert guess.focal_length == pytest.approx(np.hypot(1000, 1000))
    assert 'a guess' in ' '.join(guess.notes)
    assert inferencer()(walkers.sequence(3)).persons[0].root_position is None


def test_mirroring_turns_the_result_around():
    """With the flip test, a mirrored person is the mirror image of the person."""
    lift = inferencer(flip_test=True)
    whole = walkers.sequence(30, noise=2)
    track = whole.tracks[0]
    turned = track.keypoints[:, list(h36m.FLIP_INDICES)].copy()
    turned[..., 0] = 1000 - turned[..., 0]
    mirrored = replace(whole, tracks=[replace(track, keypoints=turned)])
    one, other = (lift(s).persons[0].keypoints_3d for s in (whole, mirrored))
    other = other[:, list(h36m.FLIP_INDICES)] * [-1, 1, 1]
    assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize('dtype', ['float64', 'bfloat16', torch.float32])
def test_precision_changes_little(lift, dtype):
    whole = walkers.sequence(20)
    one, other = (run(whole).persons[0] for run in (lift, inferencer(dtype=dtype)))
    tolerance = 0.05 if dtype == 'bfloat16' else 1e-4
    assert other.keypoints_3d.dtype == np.float32
    assert_allclose(one.keypoints_3d, other.keypoints_3d, atol=tolerance)


def test_a_video_is_lifted_by_a_front_end(tmp_path):
    path = write_video(tmp_path / 'walk.avi', 12)
    lift = inferencer(frontend=frontend(12, missing=[4]))
    result = lift(path)
    assert result.source == 'walk.avi' and result.frontend == 'walker'
    assert (result.num_frames, result.fps, result.image_size) == (12, 20, (64, 48))
    assert np.flatnonzero(result.persons[0].filled).tolist() == [4]
    arrays = [np.zeros((48, 64, 3), np.uint8)] * 12
    again = lift(arrays)
    assert_array_equal(again.persons[0].keypoints_3d, result.persons[0].keypoints_3d)


def test_a_video_that_ends_early_is_kept_and_told(tmp_path):
    path = write_video(tmp_path / 'walk.avi', 12, (640, 480))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    result = inferencer(frontend=frontend(12))(path)
    assert 0 < result.num_frames < 12
    assert len(result.persons[0]) == result.num_frames
    assert 'ends early' in ' '.join(result.notes)


def test_a_video_that_cannot_be_decoded_is_refused(tmp_path, lift):
    path = tmp_path / 'walk.mp4'
    path.write_bytes(b'no video at all')
    with pytest.raises(UnreadableSource, match=r'walk\.mp4 .*cannot be decoded'):
        lift(path)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        lift(tmp_path / 'none.mp4')


def test_a_keypoint_file_needs_no_video(tmp_path, lift):
    whole = walkers.sequence(20)
    write_keypoints(tmp_path / 'walk.json', whole)
    result = lift(tmp_path / 'walk.json')
    assert result.frontend == 'keypoint file walk.json' and result.fps == 50
    assert lift(tmp_path / 'walk.json', fps=60).fps == lift(whole, fps=60).fps == 60
    expected = lift(whole).persons[0].keypoints_3d
    assert_allclose(result.persons[0].keypoints_3d, expected, atol=1e-4)


def test_a_function_can_be_the_front_end(tmp_path):
    def see(frames):
        return walkers.sequence(frames.num_frames, image_size=frames.image_size)

    result = inferencer(frontend=see)(write_video(tmp_path / 'a.avi', 3))
    assert result.frontend == 'see' and len(result.persons) == 1
    with pytest.raises(UserError, match=r'no method stream\(frames\)'):
        next(inferencer(frontend=see).stream(tmp_path / 'a.avi'))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_are_drawn_on_terminals_alone(tmp_path, monkeypatch):
    """One for the frames of a video, one for windows; front ends do not see them."""
    whole = walkers.sequence(30, image_size=(64, 48))
    write_keypoints(tmp_path / 'walk.json', whole)
    video = write_video(tmp_path / 'walk.avi', 30)
    texts = []
    for front_end in (frontend(30), tmp_path / 'walk.json'):
        monkeypatch.setattr(sys, 'stderr', Terminal())
        lift = inferencer(frontend=front_end)
        lift(video)
        texts.append(sys.stderr.getvalue())
        lift.show_progress = False
        lift(video)
        # the log may go there too
        assert sys.stderr.getvalue().count('task/s') == texts[-1].count('task/s')
    assert '30/30' in texts[0] and '2/2' in texts[0]
    assert '30/30' not in texts[1] and '2/2' in texts[1]


def joined(frames, track_id=0):
    """All that a stream says of a person."""
    persons = [p for frame in frames for p in frame.persons if p.track_id == track_id]
    return (
        np.concatenate([person.frames for person in persons]),
        np.concatenate([person.keypoints_3d for person in persons]),
    )


@pytest.mark.parametrize('num_frames', [1, 20, 27, 40, 41, 42])
def test_a_stream_is_the_whole_video(lift, num_frames):
    whole = walkers.sequence(num_frames, ['walk', 'run'], noise=2)
    streamed = list(lift.stream(whole))
    assert [frame.number for frame in streamed] == list(range(num_frames))
    for person in lift(whole).persons:
        frames, joints = joined(streamed, person.track_id)
        assert_array_equal(frames, person.frames)
        assert_allclose(joints, person.keypoints_3d, atol=1e-4)


def counted(whole, asked):
    """The sequence as a front end that counts the frames it was asked for."""

    class Counter(Walker):
        def __call__(self, image):
            asked.append(self.frame + 1)
            return super().__call__(image)

    return Pose2DFrontend(Counter(whole.tracks[0].keypoints))


@pytest.mark.parametrize(('latency', 'bound'), [(None, 9 + 5), (0, 0), (7, 7)])
def test_a_stream_is_no_later_than_it_says(latency, bound):
    asked = []
    whole = walkers.sequence(24)
    lift = inferencer(window=9, frontend=counted(whole, asked))
    images = [np.zeros((1000, 1000, 3), np.uint8)] * 24
    late = [asked[-1] - frame.number for frame in lift.stream(images, latency)]
    assert max(late) <= bound
    if latency is not None:
        assert late[: 24 - latency] == [latency] * (24 - latency)


def test_more_latency_is_more_future():
    """With as many frames as a window has behind, the middle one is the best."""
    lift = inferencer(window=9)
    whole = walkers.sequence(20)
    frames, joints = joined(lift.stream(whole, latency=8))
    assert_array_equal(frames, np.arange(20))
    # frame 11 was lifted in the window of frames 11 to 19
    window = replace(
        whole,
        tracks=[
            KeypointTrack(
                0,
                np.arange(9),
                whole.tracks[0].keypoints[11:],
                whole.tracks[0].scores[11:],
            )
        ],
    )
    expected = lift(window).persons[0].keypoints_3d
    assert_allclose(joints[11:], expected, atol=1e-4)


@pytest.mark.parametrize('latency', [None, 0, 8])
def test_people_come_and_go_in_a_stream(latency):
    lift = inferencer(window=9)
    whole = walkers.sequence(70)
    track = whole.tracks[0]
    rows = np.r_[3:20, 23:30, 55:70]
    seen = KeypointTrack(0, rows, track.keypoints[rows], track.scores[rows])
    frames = list(lift.stream(replace(whole, tracks=[seen]), latency))
    assert [frame.number for frame in frames] == list(range(70))
    there = [frame.number for frame in frames if frame.persons]
    # a gap is filled if it has closed by the time that the frame is given out
    gap = [] if latency == 0 else [20, 21, 22]
    assert there == [*range(3, 20), *gap, *range(23, 30), *range(55, 70)]
    assert all(np.isfinite(p.keypoints_3d).all() for f in frames for p in f.persons)


def test_a_stream_of_nobody(lift):
    frames = list(lift.stream(walkers.sequence(5, clips=())))
    assert [frame.persons for frame in frames] == [()] * 5


@pytest.mark.parametrize('latency', [-1, 27])
def test_impossible_latencies_are_refused(lift, latency):
    with pytest.raises(ValueError, match='latency must be from 0 to 26'):
        next(lift.stream(walkers.sequence(5), latency))


@pytest.mark.parametrize(
    ('arguments', 'error', 'message'),
    [
        ({'model': 'posemamba-mocap-27frn'}, UnknownModelError, f'mean {ALIAS!r}'),
        ({'model': 'hamba-small-synthhand'}, UserError, 'is no lifter'),
        ({'weights': 'none.pth'}, MissingWeightsError, 'no file of weights none'),
        ({'device': 'cuba'}, UserError, "no device 'cuba'"),
        ({'device': 'mps'}, UserError, "no device 'mps'"),
        ({'dtype': 'int8'}, ValueError, 'dtype is one of float32'),
        ({'batch_size': 0}, ValueError, 'batch_size must be 1 or more'),
        ({'batch_size': 2.5}, TypeError, 'float'),
        ({'window': 28}, ValueError, 'windows of 27 frames, and window is 28'),
        ({'overlap': 27}, ValueError, 'overlap must be from 0 to 26'),
        ({'stature': 0}, ValueError, 'stature must be positive'),
        ({'focal_length': -1}, ValueError, 'focal_length must be positive'),
        ({'min_score': 2}, ValueError, 'min_score must lie'),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PoseLifterInferencer(**({'model': ALIAS, 'device': 'cpu'} | arguments))


def test_a_model_without_weights_says_how_to_get_them():
    with pytest.raises(MissingWeightsError, match='mmssm train'):
        PoseLifterInferencer('posemamba_s-243frm_1xb4-120e_h36m-gt')


def test_a_frame_to_frame_lifter_is_refused(tmp_path):
    name = 'video-pose-lift_tcn-27frm_1xb32_mocap-fold0'
    with pytest.raises(UserError, match='predicts all frames of a clip'):
        PoseLifterInferencer(name, weights=find_model(ALIAS).weights, device='cpu')


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match='does not fit the model'):
        PoseLifterInferencer(
            'posemamba_s-243frm_1xb4-120e_h36m-gt',
            weights=find_model(ALIAS).weights,
            device='cpu',
        )


def test_a_camera_has_no_end(monkeypatch, lift):
    class Endless:
        num_frames, name = None, 'camera 0'

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

    module = 'mmssm.apis.pose_lifter_inferencer'
    monkeypatch.setattr(f'{module}.open_frames', lambda *_, **__: Endless())
    with pytest.raises(ValueError, match=r'camera 0 has no end: use stream'):
        lift(0)


def test_a_sequence_of_keypoints_is_its_own_kind(lift):
    assert isinstance(walkers.sequence(2), KeypointSequence)
    assert lift(walkers.sequence(2)).frontend == 'given keypoints'


@pytest.mark.parametrize('flip_test', [True, False])
def test_a_causal_model_needs_no_windows(tmp_path, monkeypatch, flip_test):
    """What it makes of a sequence in pieces is what it makes of all of it."""
    monkeypatch.setattr('mmssm.apis.lifter.CAUSAL_PIECE', 16)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = tiny_model(causal=True)
        network = MODELS.build(model)
    config = tmp_path / 'causal.py'
    config.write_text(f"default_scope = 'mmpose'\nmodel = {model!r}\n")
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'causal.pth')
    lift = PoseLifterInferencer(
        config, tmp_path / 'causal.pth', 'cpu', flip_test=flip_test, stature=None
    )
    whole = walkers.sequence(40)
    joints = np.concatenate(
        [whole.tracks[0].keypoints, np.full((40, 17, 1), 0.9, np.float32)], -1
    )
    inputs = lift.lifter.encode(joints[None], walkers.SIZE)
    with torch.no_grad():
        expected = network.eval()(inputs, None, mode='tensor')
        if flip_test:
            turned = network(mirror(inputs), None, mode='tensor')
            expected = (expected + mirror(turned)) / 2
    (person,) = lift(whole).persons
    assert_allclose(
        person.keypoints_3d, lift.lifter.decode(expected, walkers.SIZE)[0], atol=1e-4
    )
    assert len(list(lift.stream(walkers.sequence(4)))) == 4


def test_seams_are_no_rougher_than_the_rest():
    """Noise that is new in every frame, on somebody who stands still and who walks.

    Frames where two windows share, each with a quarter or more, against the others.
    """
    lift = inferencer()
    rng = np.random.default_rng(0)
    rough = {True: [], False: []}
    for clip in ('walk', 'dance_a', 'jump'):
        keypoints = walkers.film(27 * 12, clip)[0]
        keypoints = keypoints[:1] + np.zeros_like(keypoints)
        keypoints += rng.normal(0, 4, keypoints.shape)
        track = KeypointTrack(
            0, np.arange(len(keypoints)), keypoints, np.full(keypoints.shape[:2], 0.9)
        )
        joints = (
            lift(walkers.sequence(len(keypoints), tracks=[track]))
            .persons[0]
            .keypoints_3d
        )
        acceleration = np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).mean(-1)
        shared = np.sort(lift.windows.weights(len(joints)), axis=0)[-2] > 0.25
        for seam in (True, False):
            inside = (shared[1:-1] == seam)[14:-28]
            rough[seam].append(acceleration[14:-28][inside])
    ratio = np.concatenate(rough[True]).mean() / np.concatenate(rough[False]).mean()
    assert 0.8 < ratio < 1.05
