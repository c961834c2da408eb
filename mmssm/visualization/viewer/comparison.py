"""Errors between two results, frame by frame."""

import numpy as np
from numpy.typing import NDArray

from .results import Person


def joint_errors(ours: NDArray, theirs: NDArray, root: int) -> NDArray[np.float64]:
    """Mean distance of joints after moving both roots onto one another, millimetres.

    Args:
        ours: ``(T, J, 3)`` metres; NaN where a joint is not known.
        theirs: ``(T, J, 3)``.
        root: Index of the root joint.

    Returns:
        ``(T,)``: joints that either lacks do not count; NaN without any.
    """
    both = [np.asarray(pose, np.float64) for pose in (ours, theirs)]
    first, second = (pose - pose[:, root : root + 1] for pose in both)
    distance = np.linalg.norm(first - second, axis=-1)
    known = np.isfinite(distance)
    total, count = np.where(known, distance, 0).sum(-1), known.sum(-1)
    nothing = np.full(len(total), np.nan)
    return 1000 * np.divide(total, count, out=nothing, where=count > 0)


def frame_errors(person: Person, other: Person, root: int) -> NDArray[np.float64]:
    """MPJPE of each frame of a person after aligning roots, millimetres.

    Args:
        person: ``T`` frames.
        other: The same person elsewhere.
        root: Index of the root joint.

    Returns:
        ``(T,)``; NaN where ``other`` lacks the frame.
    """
    _, here, there = np.intersect1d(person.frames, other.frames, return_indices=True)
    errors = np.full(len(person.frames), np.nan)
    errors[here] = joint_errors(
        person.keypoints_3d[here], other.keypoints_3d[there], root
    )
    return errors


def mean_over_people(
    errors: list[tuple[NDArray, NDArray]], count: int
) -> NDArray[np.float64]:
    """The mean of the errors known in each frame, ``(count,)``; NaN without any.

    Args:
        errors: Frame numbers and errors of each person.
        count: How many frames there are.
    """
    total, known = np.zeros(count), np.zeros(count)
    for frames, values in errors:
        there = np.isfinite(values)
        total[frames[there]] += values[there]
        known[frames[there]] += 1
    return np.divide(total, known, out=np.full(count, np.nan), where=known > 0)


def error_note(curve: NDArray, whose: str) -> str:
    """What the curve says on the whole.

    Args:
        curve: Error of each frame, millimetres; NaN where there is none.
        whose: Such as ``'2 people'``.
    """
    known = curve[np.isfinite(curve)]
    if not len(known):
        return 'The two results have no frame in common: there is no error to show.'
    return (
        f'MPJPE after root alignment: {known.mean():.1f} mm, mean over {len(known)} '
        f'frames of {whose} that both results have.'
    )
