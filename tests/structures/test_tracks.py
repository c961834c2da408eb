import numpy as np
import pytest

from mmssm.structures.tracks import KeypointSequence, KeypointTrack


def track(**changes) -> KeypointTrack:
    fields = {
        'track_id': 2,
        'frames': np.array([1, 2, 5]),
        'keypoints': np.zeros((3, 17, 2)),
        'scores': np.ones((3, 17)),
        'bboxes': None,
    }
    return KeypointTrack(**{**fields, **changes})


def sequence(**changes) -> KeypointSequence:
    fields = {
        'tracks': [track()],
        'joint_set': 'coco',
        'image_size': (640, 480),
        'fps': 25.0,
        'num_frames': 6,
        'source': 'test',
    }
    return KeypointSequence(**{**fields, **changes})


def spoiled(value: float, name: str = 'scores') -> np.ndarray:
    array = np.ones((3, 17) if name == 'scores' else (3, 17, 2))
    array[1, 4] = value
    return array


def test_arrays_are_brought_to_their_dtypes():
    made = track(bboxes=np.zeros((3, 4)))
    assert made.frames.dtype == np.int64
    assert {a.dtype for a in (made.keypoints, made.scores, made.bboxes)} == {
        np.dtype('float32')
    }
    assert (len(made), made.num_joints) == (3, 17)


def test_a_missing_joint_is_nan_with_score_0():
    scores = np.ones((3, 17))
    scores[1, 4] = 0
    made = track(keypoints=spoiled(np.nan, 'keypoints'), scores=scores)
    assert np.isnan(made.keypoints[1, 4]).all()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'track_id': -1}, 'track_id must be a whole number from 0 on'),
        ({'track_id': 1.5}, 'track_id must be a whole number'),
        ({'frames': np.array([1.0, 2, 5])}, r'frames must be \(T\) of int64, got \(3,'),
        ({'frames': np.array([1, 5, 2])}, r'strictly increasing, got \[5, 2\]'),
        ({'frames': np.array([1, 2, 2])}, r'strictly increasing, got \[2, 2\]'),
        ({'frames': np.array([-1, 2, 5])}, 'frames count from 0, got -1'),
        ({'keypoints': np.zeros((3, 17, 3))}, r'keypoints must be \(3, J, 2\)'),
        ({'keypoints': np.zeros((2, 17, 2))}, r'keypoints must be \(3, J, 2\)'),
        ({'keypoints': np.full((3, 17, 2), 'a')}, 'keypoints must be .* of <U1|str'),
        ({'scores': np.ones((3, 16))}, r'scores must be \(3, 17\) of float32'),
        ({'scores': spoiled(1.5)}, r'joint 4 of frame 2 has a score outside \[0, 1\]'),
        ({'scores': spoiled(np.nan)}, r'joint 4 of frame 2 has a score outside'),
        ({'keypoints': spoiled(np.inf, 'keypoints')}, 'joint 4 of frame 2 is infinite'),
        ({'keypoints': spoiled(np.nan, 'keypoints')}, r'is missing \(NaN\) and has a'),
        ({'bboxes': np.zeros((3, 5))}, r'bboxes must be \(3, 4\)'),
    ],
)
def test_what_is_no_track_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        track(**changes)


def test_an_empty_track_is_refused():
    empty = {'keypoints': np.zeros((0, 17, 2)), 'scores': np.zeros((0, 17))}
    with pytest.raises(ValueError, match='it has no frame; leave it out'):
        track(frames=np.zeros(0, int), **empty)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'image_size': (640, 0)}, 'image_size must be'),
        ({'image_size': (640, 480, 3)}, 'image_size must be'),
        ({'fps': 0.0}, 'fps must be positive, got 0'),
        ({'fps': float('nan')}, 'fps must be positive'),
        ({'num_frames': -1}, 'num_frames must not be negative'),
        ({'num_frames': 5}, r'track 2 reaches frame 5, and the video has 5 frames'),
        ({'tracks': [track(), track()]}, r'numbers of their own, got \[2, 2\]'),
        ({'joint_set': 'halpe26'}, 'track 2 has 17 joints, and halpe26 has 26'),
        ({'joint_set': 'bodies'}, "no joint set 'bodies'; expected one of coco"),
    ],
)
def test_what_is_no_sequence_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        sequence(**changes)


def test_the_people_of_a_frame():
    other = track(track_id=9, frames=np.array([2, 3, 4]))
    both = sequence(tracks=[track(), other])
    found = {
        frame: [(one.track_id, row) for one, row in both.people_in(frame)]
        for frame in range(len(both))
    }
    assert found == {
        0: [],
        1: [(2, 0)],
        2: [(2, 1), (9, 0)],
        3: [(9, 1)],
        4: [(9, 2)],
        5: [(2, 2)],
    }
