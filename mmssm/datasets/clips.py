"""Cutting videos into clips of one length.

A clip is an index array ``(T,)`` into the frames of a data set.
"""

import numpy as np


def runs(names: np.ndarray) -> list[tuple[int, int]]:
    """First and last-plus-one index of each run of equal names.

    Args:
        names: ``(F,)``, frames of a video one after another.

    Returns:
        Runs in their order.
    """
    if not len(names):
        return []
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(names)], strict=True))


def stretch_randomly(size: int, length: int, rng: np.random.RandomState) -> np.ndarray:
    """Stretches a short video to a clip as MotionBERT's reader does.

    Evenly spaced positions, each rounded up or down by the toss of a coin, in
    order.

    Args:
        size: Frames of the video, less than ``length``.
        length: Frames of the clip, T.
        rng: What tosses the coins.

    Returns:
        ``(T,)`` frames of the video.
    """
    even = np.linspace(0, size, num=length, endpoint=False)
    down = rng.randint(2, size=even.shape)
    chosen = np.sort(down * np.floor(even) + (1 - down) * np.ceil(even))
    return np.clip(chosen, 0, size - 1).astype(np.int64)


def stretch_evenly(size: int, length: int) -> np.ndarray:
    """Stretches a short video to a clip by repeating frames evenly.

    As MotionAGFormer's reader of MPI-INF-3DHP does; arguments and result as of
    :func:`stretch_randomly`, without chance.
    """
    return np.arange(length) * size // length


def split_motionbert(
    sources: np.ndarray, length: int, stride: int, rng: np.random.RandomState
) -> tuple[list[np.ndarray], list[str]]:
    """Cuts videos into clips exactly as MotionBERT's reader does.

    A video gives a clip every ``stride`` frames; a tail that does not fill one
    is left out. A video shorter than a clip is stretched to one
    (:func:`stretch_randomly`), unless a video of the same name gave one before,
    or it is the last of the list: then it is left out, too.

    Args:
        sources: ``(F,)`` name of each frame's video.
        length: Frames of a clip, T.
        stride: Frames from one clip's start to the next one's.
        rng: Chooses the frames that short videos repeat.

    Returns:
        The clips, and the names of the videos left out.
    """
    clips: list[np.ndarray] = []
    dropped: list[str] = []
    saved: set[str] = set()
    for start, stop in runs(sources):
        name = str(sources[start])
        starts = range(start, stop - length + 1, stride)
        clips += [np.arange(first, first + length) for first in starts]
        if not starts and name not in saved:
            if stop == len(sources):
                dropped.append(name)
                continue
            clips.append(start + stretch_randomly(stop - start, length, rng))
        elif not starts:
            dropped.append(name)
            continue
        saved.add(name)
    return clips, dropped


def split_evenly(start: int, stop: int, length: int, stride: int) -> list[np.ndarray]:
    """Cuts one video into clips that reach every frame.

    As MotionAGFormer's reader of MPI-INF-3DHP does: a clip starts every
    ``stride`` frames, to the last, and one that would reach beyond the end is
    stretched (:func:`stretch_evenly`).

    Args:
        start: The video's first frame.
        stop: Its last frame plus one.
        length: Frames of a clip, T.
        stride: Frames from one clip's start to the next one's.

    Returns:
        The clips.
    """
    clips = []
    for first in range(start, stop, stride):
        size = min(length, stop - first)
        clips.append(first + stretch_evenly(size, length))
    return clips


def windows(
    start: int, stop: int, length: int, centers: np.ndarray
) -> list[np.ndarray]:
    """Clips around given frames of one video, its ends repeated beyond them.

    Args:
        start: The video's first frame.
        stop: Its last frame plus one.
        length: Frames of a clip, T; the centre is frame ``(T - 1) // 2``.
        centers: Frames of the video.

    Returns:
        One clip per centre.
    """
    steps = np.arange(length) - (length - 1) // 2
    return list(np.clip(np.asarray(centers)[:, None] + steps, start, stop - 1))


def last_of_repeats(clip: np.ndarray) -> np.ndarray:
    """Which positions of a clip are the last of their frame, ``(T,)`` bool."""
    return np.append(clip[1:] != clip[:-1], True)
