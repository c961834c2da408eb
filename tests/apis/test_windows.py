import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmssm.apis.windows import CrossFade, Windows, lift_clips, lift_windows

WINDOWS = Windows(9, 4)


def identity(batch):
    """A network that gives its input back."""
    return batch.copy()


def clip(num_frames, seed=0):
    """Random joints."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 300, (num_frames, 17, 3)).astype(np.float32)


lengths = st.integers(1, 12)
cuts = lengths.flatmap(
    lambda length: st.builds(Windows, st.just(length), st.integers(0, length - 1))
)


@settings(max_examples=60, deadline=None)
@given(cuts, st.integers(1, 60), st.integers(1, 5))
def test_the_identity_gives_the_input_back_to_the_bit(windows, num_frames, batch):
    clips = [clip(num_frames), clip(1, 1), clip(windows.length, 2)]
    for found, given_ in zip(
        lift_clips(identity, clips, windows, batch), clips, strict=True
    ):
        np.testing.assert_array_equal(found, given_)


@settings(max_examples=60, deadline=None)
@given(cuts, st.integers(1, 60))
def test_weights_sum_to_one_and_are_none_below_zero(windows, num_frames):
    weights = windows.weights(num_frames)
    assert weights.shape == (len(windows.starts(num_frames)), num_frames)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(0), 1, atol=1e-12)
    # a window has no say where it did not look
    for start, row in zip(windows.starts(num_frames), weights, strict=True):
        outside = np.ones(num_frames, bool)
        outside[start : start + windows.length] = False
        assert not row[outside].any()


def test_the_fade_is_smooth_and_symmetric():
    rising = WINDOWS.fade(13)
    np.testing.assert_allclose(rising + rising[::-1], 1, atol=1e-12)
    assert (np.diff(rising) > 0).all()
    # no more than a straight line is steep, but for the middle, and flat at the ends
    assert np.diff(rising).max() < 1.6 / 13
    assert rising[0] < 0.02


def test_windows_cover_a_sequence_and_end_with_it():
    assert WINDOWS.starts(0) == []
    assert WINDOWS.starts(1) == WINDOWS.starts(9) == [0]
    assert WINDOWS.starts(10) == [0, 1]
    assert WINDOWS.starts(19) == [0, 5, 10]
    assert WINDOWS.starts(20) == [0, 5, 10, 11]
    assert Windows.of(27) == Windows(27, 13)
    assert Windows.of(1).starts(3) == [0, 1, 2]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [((0, 0), 'at least one frame'), ((4, 4), 'from 0 to 3'), ((4, -1), 'from 0 to 3')],
)
def test_impossible_windows_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Windows(*arguments)


def test_short_clips_are_not_padded_and_others_are_batched_over_people():
    seen = []

    def network(batch):
        seen.append(batch.shape[:2])
        return batch

    clips = [clip(5), clip(19, 1), clip(14, 2), clip(5, 3)]
    lift_clips(network, clips, WINDOWS, batch_size=4)
    # three windows of the second and two of the third clip, both short ones together
    assert seen == [(4, 9), (2, 5), (1, 9)] or seen == [(4, 9), (1, 9), (2, 5)]


def test_frames_come_in_order_and_clips_are_read_as_they_are_needed():
    read = []

    def clips():
        for number in range(40):
            read.append(number)
            yield clip(24, number)

    done = {}
    windows = lift_windows(identity, clips(), WINDOWS, batch_size=8)
    for number, values in windows:
        assert read[-1] <= number + 2
        done.setdefault(number, []).append(values)
    for number, parts in done.items():
        np.testing.assert_array_equal(np.concatenate(parts), clip(24, number))
    assert len(done) == 40


def test_of_a_long_sequence_a_few_windows_are_held():
    """Each batch is new and small, and what is held does not grow."""
    largest = 0

    def network(batch):
        nonlocal largest
        largest = max(largest, batch.nbytes)
        return batch

    long = clip(18_000)
    done = 0
    for _, values in lift_windows(network, [long], Windows(27, 13), batch_size=16):
        done += len(values)
        assert values.nbytes <= 27 * 17 * 3 * 4
    assert done == 18_000
    assert largest == 16 * 27 * 17 * 3 * 4


def test_where_windows_differ_the_result_goes_from_one_to_the_next():
    blend = CrossFade(WINDOWS)
    first = blend.push(0, np.zeros((9, 1)))
    second = blend.push(5, np.ones((9, 1)))
    left = blend.finish()
    assert len(first) == 0 and len(second) == 5
    values = np.concatenate([second, left])[:, 0]
    np.testing.assert_allclose(values[5:9], WINDOWS.fade(4))
    assert (values[:5] == 0).all() and (values[9:] == 1).all()


@pytest.mark.parametrize('start', [10, -1, 30])
def test_windows_that_do_not_follow_are_refused(start):
    blend = CrossFade(WINDOWS)
    blend.push(0, np.zeros((9, 1)))
    with pytest.raises(ValueError, match='does not go on from frames 0 to 8'):
        blend.push(start, np.zeros((9, 1)))


def test_a_network_that_predicts_one_frame_is_refused():
    with pytest.raises(ValueError, match='predicts one frame of a clip'):
        lift_clips(lambda batch: batch[:, :1], [clip(20)], WINDOWS)
