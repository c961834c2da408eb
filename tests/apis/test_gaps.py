import numpy as np
import pytest

from mmssm.apis.gaps import FILLED_CONFIDENCE, Gaps, clips_of
from mmssm.structures import h36m
from mmssm.structures.tracks import KeypointTrack


def track(frames, seed=0, **changes):
    """A person who moves evenly."""
    frames = np.asarray(frames)
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(0, 100, (17, 2)), rng.uniform(-2, 2, (17, 2))
    keypoints = (start + frames[:, None, None] * speed).astype(np.float32)
    scores = np.full((len(frames), 17), 0.9, np.float32)
    values = dict(track_id=4, frames=frames, keypoints=keypoints, scores=scores)
    return KeypointTrack(**(values | changes))


def lose(whole, rows, joints, score=0.0):
    """The track without some joints."""
    keypoints, scores = whole.keypoints.copy(), whole.scores.copy()
    scores[np.ix_(rows, joints)] = score
    if score == 0:
        keypoints[np.ix_(rows, joints)] = np.nan
    else:
        keypoints[np.ix_(rows, joints)] += 50
    return KeypointTrack(whole.track_id, whole.frames, keypoints, scores)


def clips(one, **gaps):
    return clips_of(one, Gaps(**gaps), h36m.PARENTS)


def test_a_whole_track_is_left_as_it_is():
    whole = track(range(3, 20))
    (clip,), notes = clips(whole)
    assert notes == []
    np.testing.assert_array_equal(clip.frames, whole.frames)
    np.testing.assert_array_equal(clip.keypoints, whole.keypoints)
    np.testing.assert_array_equal(clip.scores, whole.scores)
    assert not clip.filled.any() and not clip.filled_joints.any()
    assert clip.network_input.shape == (17, 17, 3)


def test_missing_frames_are_interpolated_and_told():
    whole = track(range(20))
    kept = np.delete(np.arange(20), [5, 6, 12])
    (clip,), notes = clips(track(kept))
    np.testing.assert_allclose(clip.keypoints, whole.keypoints, atol=1e-3)
    assert np.flatnonzero(clip.filled).tolist() == [5, 6, 12]
    assert clip.filled_joints[[5, 6, 12]].all() and not clip.filled_joints[7].any()
    assert (clip.scores[5] == 0).all()
    assert (clip.network_input[5, :, 2] == np.float32(FILLED_CONFIDENCE)).all()
    assert notes == ['person 4: 3 frames without detection interpolated']


@pytest.mark.parametrize('score', [0.0, 0.2])
def test_missing_and_doubtful_joints_are_interpolated(score):
    whole = track(range(20))
    (clip,), notes = clips(lose(whole, [7, 8], [13], score))
    np.testing.assert_allclose(clip.keypoints, whole.keypoints, atol=1e-3)
    found = np.argwhere(clip.filled_joints).tolist()
    assert found == [[7, 13], [8, 13]]
    assert not clip.filled.any()
    np.testing.assert_allclose(clip.scores[7, 13], score)
    assert notes == ['person 4: 2 joints missing or below confidence 0.3 filled in']


def test_joints_stand_still_before_they_are_found():
    whole = track(range(20))
    (clip,), _ = clips(lose(whole, [0, 1, 19], [3]))
    np.testing.assert_array_equal(clip.keypoints[0, 3], whole.keypoints[2, 3])
    np.testing.assert_array_equal(clip.keypoints[19, 3], whole.keypoints[18, 3])


def test_what_a_detector_guessed_for_long_is_kept():
    whole = track(range(40))
    doubtful = lose(whole, range(5, 30), [3], 0.2)
    (clip,), notes = clips(doubtful, max_gap=10)
    np.testing.assert_array_equal(clip.keypoints, doubtful.keypoints)
    assert notes == []
    # but what it did not guess is interpolated all the same
    (clip,), _ = clips(lose(whole, range(5, 30), [3]), max_gap=10)
    np.testing.assert_allclose(clip.keypoints, whole.keypoints, atol=1e-3)


@pytest.mark.parametrize('length', [1, 8])
def test_what_is_doubtful_in_all_of_a_clip_is_kept(length):
    """Nothing is better than the guess: of one joint, and of all of them."""
    whole = track(range(length))
    for joints in ([3], range(17)):
        doubtful = lose(whole, range(length), joints, 0.2)
        (clip,), notes = clips(doubtful)
        np.testing.assert_array_equal(clip.keypoints, doubtful.keypoints)
        assert not clip.filled_joints.any() and notes == []


def test_who_is_away_for_long_comes_back_as_a_new_piece():
    frames = [*range(10), *range(25, 40)]
    (first, second), notes = clips(track(frames), max_gap=14)
    assert first.frames.tolist() == list(range(10))
    assert second.frames.tolist() == list(range(25, 40))
    assert notes == [
        'person 4 is not seen in frames 10 to 24; before and after are lifted on '
        'their own'
    ]
    (both,), _ = clips(track(frames), max_gap=15)
    assert len(both) == 40 and both.filled.sum() == 15


def test_a_joint_that_is_nowhere_takes_the_place_of_a_relative():
    whole = track(range(8))
    arm = [h36m.JOINT_NAMES.index(f'left_{part}') for part in ('elbow', 'wrist')]
    shoulder = h36m.JOINT_NAMES.index('left_shoulder')
    (clip,), _ = clips(lose(whole, range(8), [h36m.ROOT, *arm]))
    for joint in arm:
        np.testing.assert_array_equal(
            clip.keypoints[:, joint], whole.keypoints[:, shoulder]
        )
    assert np.isfinite(clip.keypoints).all()
    assert clip.filled_joints[:, [h36m.ROOT, *arm]].all()


def test_a_track_without_joints_is_left_out_and_told():
    found, notes = clips(lose(track(range(4)), range(4), range(17)))
    assert found == []
    assert notes == ['person 4 has no joint in any frame and is left out']


@pytest.mark.parametrize(
    'gaps', [{'min_score': -0.1}, {'min_score': 1.1}, {'max_gap': -1}]
)
def test_impossible_gaps_are_refused(gaps):
    with pytest.raises(ValueError, match=next(iter(gaps))):
        Gaps(**gaps)
