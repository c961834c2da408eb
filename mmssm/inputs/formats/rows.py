"""People as keypoint files list them, one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmssm.utils.errors import UserError

WHAT, SOURCE = 'keypoint file', 'write it with a 2D front end'
"""What the files are and where they come from, for messages."""


class KeypointFileError(UserError, ValueError):
    """A keypoint file that cannot be used."""


class MissingKeypointFile(KeypointFileError, FileNotFoundError):
    """A keypoint file that does not exist."""


@dataclass(frozen=True)
class Row:
    """One person in one frame.

    Attributes:
        frame: Number of the frame, from 0.
        track_id: Who it is, or None if the file does not say.
        keypoints: ``(J, 2)`` float32 pixels; NaN is a missing joint.
        scores: ``(J,)`` float32, not negative; 0 is a missing joint.
        bbox: ``(4,)`` float32, ``(x0, y0, x1, y1)`` in pixels, or None.
        where: Where in the file, for messages.
    """

    frame: int
    track_id: int | None
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    bbox: NDArray[np.float32] | None
    where: str

    def first(self, count: int) -> 'Row':
        """The row with its first joints alone."""
        return replace(
            self, keypoints=self.keypoints[:count], scores=self.scores[:count]
        )


@dataclass(frozen=True)
class Contents:
    """What a file holds; None is what it does not say.

    Attributes:
        rows: Its people.
        num_frames: Frames that it tells of.
        joint_names: Names of its joints.
        image_size: ``(width, height)`` in pixels.
        fps: Frames per second.
    """

    rows: list[Row]
    num_frames: int
    joint_names: Sequence[str] | None = None
    image_size: tuple[int, int] | None = None
    fps: float | None = None


def read_flat(
    path: str, where: str, values: Any, highest: float | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reads ``[x, y, score, x, y, score, ...]``.

    Args:
        path: The file, for the message.
        where: Where in it, for the message.
        values: What was read.
        highest: Largest score allowed.

    Returns:
        Keypoints ``(J, 2)`` and scores ``(J,)``, as of :func:`read_pairs`.

    Raises:
        KeypointFileError: They are no such numbers.
    """
    array = _numbers(path, f'keypoints of {where}', values)
    if array.ndim != 1 or array.size % 3 or not array.size:
        raise KeypointFileError(
            f'{path}: expected keypoints of {where} as a list [x, y, score, ...] of 3 '
            f'numbers per joint, found {_shape(array)}'
        )
    triples = array.reshape(-1, 3)
    if highest is not None and (triples[:, 2] > highest).any():
        joint = int((triples[:, 2] > highest).argmax())
        raise KeypointFileError(
            f'{path}: expected flags from 0 to {highest:.0f} in keypoints of {where}, '
            f'found {triples[joint, 2]} at joint {joint}'
        )
    return read_pairs(path, where, triples[:, :2], triples[:, 2])


def read_pairs(
    path: str, where: str, keypoints: Any, scores: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Reads ``[[x, y], ...]`` and ``[score, ...]``.

    Args:
        path: The file, for the message.
        where: Where in it, for the message.
        keypoints: Places that were read, pixels.
        scores: Scores that were read.

    Returns:
        Keypoints ``(J, 2)`` and scores ``(J,)``; a joint whose place is NaN or whose
        score is not positive is missing: NaN and 0.

    Raises:
        KeypointFileError: They are no such numbers, or one is infinite.
    """
    places = _numbers(path, f'keypoints of {where}', keypoints)
    rated = _numbers(path, f'keypoint_scores of {where}', scores)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        hint = ': these are 3D' if places.ndim == 2 and places.shape[1] == 3 else ''
        raise KeypointFileError(
            f'{path}: expected keypoints of {where} as (joints, 2), found '
            f'{_shape(places)}{hint}'
        )
    if rated.shape != places.shape[:1]:
        raise KeypointFileError(
            f'{path}: expected {len(places)} scores for the keypoints of {where}, '
            f'found {_shape(rated)}'
        )
    wrong = np.isinf(places).any(-1) | ~np.isfinite(rated)
    if wrong.any():
        joint = int(wrong.argmax())
        raise KeypointFileError(
            f'{path}: joint {joint} of {where} is {places[joint].tolist()} with score '
            f'{float(rated[joint])}; expected numbers'
        )
    missing = np.isnan(places).any(-1) | (rated <= 0)
    known = np.where(missing[:, None], np.nan, places)
    return known.astype(np.float32), np.where(missing, 0, rated).astype(np.float32)


def read_box(
    path: str, where: str, values: Any, has_size: bool = False
) -> NDArray[np.float32]:
    """Reads a box.

    Args:
        path: The file, for the message.
        where: Where in it, for the message.
        values: Four numbers.
        has_size: They are ``(x, y, width, height)``; else two corners.

    Returns:
        ``(4,)`` as ``(x0, y0, x1, y1)``.

    Raises:
        KeypointFileError: They are no four finite numbers.
    """
    box = _numbers(path, f'box of {where}', values)
    if box.shape != (4,) or not np.isfinite(box).all():
        raise KeypointFileError(
            f'{path}: expected the box of {where} as 4 numbers, found {values!r}'
        )
    if has_size:
        box = np.concatenate([box[:2], box[:2] + box[2:]])
    return box.astype(np.float32)


def _numbers(path: str, what: str, values: Any) -> NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise KeypointFileError(f'{path}: {what} is no array: {error}') from error
    if array.dtype.kind not in 'iuf':
        raise KeypointFileError(
            f'{path}: expected {what} to be numbers, found {_excerpt(values)}'
        )
    return array.astype(np.float64)


def _excerpt(values: Any) -> str:
    text = repr(values)
    return text if len(text) < 60 else f'{text[:57]}...'


def _shape(array: NDArray) -> str:
    if array.ndim == 1:
        return f'{array.size} numbers'
    return f'an array of shape {array.shape}'


def read_whole(path: str, what: str, value: Any) -> int:
    """Reads a whole number from 0 on.

    Args:
        path: The file, for the message.
        what: What it is, for the message.
        value: What was read.

    Raises:
        KeypointFileError: It is something else.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or value != value or value < 0 or value != int(value):
        raise KeypointFileError(
            f'{path}: expected {what} to be a whole number from 0 on, found {value!r}'
        )
    return int(value)
