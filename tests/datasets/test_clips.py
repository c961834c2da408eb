import numpy as np
import pytest

from mmssm.datasets import clips


def split_frame_by_frame(names, length, stride, rng):
    """MotionBERT's splitter as a walk over frames, from its description."""
    found, gave, start = [], set(), 0
    for frame in range(1, len(names) + 1):
        if frame - start == length:
            found.append(np.arange(start, frame))
            gave.add(names[frame - 1])
            start += stride
        if frame == len(names):
            break
        if names[frame] != names[frame - 1]:
            if names[frame - 1] not in gave:
                size = frame - start
                even = np.linspace(0, size, length, endpoint=False)
                coin = rng.randint(2, size=length)
                picked = np.where(coin == 1, np.floor(even), np.ceil(even))
                found.append(start + np.minimum(np.sort(picked), size - 1).astype(int))
                gave.add(names[frame - 1])
            start = frame
    return found


@pytest.mark.parametrize('seed', range(20))
def test_the_splitter_is_motionberts(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 40, 12)
    # names may come again, which the splitter remembers
    names = np.repeat([f's{n}' for n in rng.integers(0, 9, 12)], sizes)
    length, stride = int(rng.integers(2, 20)), int(rng.integers(1, 25))
    found, _ = clips.split_motionbert(
        names, length, stride, np.random.RandomState(seed)
    )
    expected = split_frame_by_frame(names, length, stride, np.random.RandomState(seed))
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_splitter_by_hand():
    names = np.repeat(['a', 'b', 'a', 'c'], [7, 2, 3, 2])
    found, dropped = clips.split_motionbert(names, 4, 2, np.random.RandomState(0))
    # two clips of a and a tail left out; b stretched; the second a and the last
    # video dropped
    assert [clip.tolist() for clip in found[:2]] == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert len(found) == 3 and set(found[2]) == {7, 8}
    assert dropped == ['a', 'c']


def test_a_stretched_clip_is_in_order_and_near_the_even_one():
    clip = clips.stretch_randomly(5, 243, np.random.RandomState(1))
    assert (np.diff(clip) >= 0).all() and set(clip) == set(range(5))
    assert (np.abs(clip - np.linspace(0, 5, 243, endpoint=False)) <= 1).all()


def test_even_clips_reach_every_frame():
    found = clips.split_evenly(10, 31, 9, 9)
    assert [clip[0] for clip in found] == [10, 19, 28]
    assert found[2].tolist() == [28, 28, 28, 29, 29, 29, 30, 30, 30]
    assert sorted({frame for clip in found for frame in clip}) == list(range(10, 31))


def test_windows_repeat_the_ends():
    [first, last] = clips.windows(5, 10, 5, np.array([5, 8]))
    assert first.tolist() == [5, 5, 5, 6, 7]
    assert last.tolist() == [6, 7, 8, 9, 9]


def test_the_last_of_repeats_counts():
    assert clips.last_of_repeats(np.array([3, 3, 4, 6, 6])).tolist() == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_runs_of_nothing():
    assert clips.runs(np.array([])) == []
