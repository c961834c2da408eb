"""Human3.6M's 17 joints in arrays: ``.npz``.

``keypoints`` (or ``reconstruction``, as the demos of lifters call it, or whatever the
only array is called) is ``(T, 17, 2 or 3)`` or ``(people, T, 17, 2 or 3)``: pixels and,
third, scores. A frame of NaN or of scores 0 is one without the person. ``track_ids``,
``image_size`` and ``fps`` may stand beside it.

Some demos fill such files with left and right swapped; see
:mod:`mmssm.structures.h36m_joints`. A file does not show it.
"""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.formats.rows import (
    SOURCE,
    WHAT,
    Contents,
    KeypointFileError,
    Row,
    read_pairs,
)
from mmssm.structures import h36m
from mmssm.structures.h36m_joints import to_h36m
from mmssm.structures.tracks import KeypointSequence
from mmssm.utils.annotation_files import read_npz


def read(path: str) -> Contents:
    """Reads a file.

    Raises:
        ValueError: It does not hold; the message names the array or the place.
    """
    arrays = read_npz(path, WHAT, SOURCE)
    name = _name_of_joints(path, arrays)
    values = _joints(path, name, arrays[name])
    numbers = arrays.get('track_ids', np.arange(len(values)))
    if numbers.shape != (len(values),) or numbers.dtype.kind not in 'iu':
        raise KeypointFileError(
            f'{path}: expected track_ids of {len(values)} whole numbers, found '
            f'{numbers.shape} of {numbers.dtype}'
        )
    rows = []
    for person, number in enumerate(numbers.tolist()):
        for frame, joints in enumerate(values[person]):
            where = f'frame {frame} of person {person}'
            places, scores = joints[:, :2], joints[:, 2]
            scores = np.where(np.isnan(places).any(-1), 0, scores)
            keypoints, scores = read_pairs(path, where, places, scores)
            rows.append(Row(frame, number, keypoints, scores, None, where))
    return Contents(
        rows,
        num_frames=values.shape[1],
        joint_names=h36m.JOINT_NAMES,
        image_size=_image_size(path, arrays.get('image_size')),
        fps=_fps(path, arrays.get('fps')),
    )


def _name_of_joints(path: str, arrays: dict[str, NDArray]) -> str:
    for name in ('keypoints', 'reconstruction'):
        if name in arrays:
            return name
    if len(arrays) == 1:
        return next(iter(arrays))
    raise KeypointFileError(
        f"{path}: expected an array 'keypoints', found {sorted(arrays)[:8]}"
    )


def _joints(path: str, name: str, found: NDArray) -> NDArray:
    """People's joints with scores, ``(people, T, 17, 3)``."""
    values = found[None] if found.ndim == 3 else found
    fits = values.ndim == 4 and values.shape[2] == h36m.NUM_JOINTS
    if not fits or values.shape[3] not in (2, 3) or values.dtype.kind not in 'iuf':
        raise KeypointFileError(
            f'{path}: expected {name} of shape (frames, 17, 2 or 3) or (people, '
            "frames, 17, 2 or 3), pixels and scores in Human3.6M's order, found "
            f'{found.shape} of {found.dtype}'
        )
    if values.shape[3] == 3:
        return values
    return np.concatenate([values, np.ones_like(values[..., :1])], -1)


def _image_size(path: str, size: NDArray | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if size.shape != (2,) or size.dtype.kind not in 'iu':
        raise KeypointFileError(
            f'{path}: expected image_size of (width, height), found {size}'
        )
    return int(size[0]), int(size[1])


def _fps(path: str, fps: NDArray | None) -> float | None:
    if fps is None:
        return None
    if fps.shape != () or fps.dtype.kind not in 'iuf' or not 0 < fps < np.inf:
        raise KeypointFileError(f'{path}: expected fps to be positive, found {fps}')
    return float(fps)


def write(sequence: KeypointSequence) -> Iterator[bytes]:
    """The sequence as ``.npz``, brought to Human3.6M's joints."""
    sequence = to_h36m(sequence)
    shape = (len(sequence.tracks), sequence.num_frames, h36m.NUM_JOINTS, 3)
    joints = np.full(shape, np.nan, np.float32)
    for person, track in enumerate(sequence.tracks):
        joints[person, track.frames, :, :2] = track.keypoints
        joints[person, track.frames, :, 2] = track.scores
    file = io.BytesIO()
    np.savez_compressed(
        file,
        keypoints=joints,
        track_ids=np.array([track.track_id for track in sequence.tracks], np.int64),
        image_size=np.array(sequence.image_size, np.int64),
        fps=np.float64(sequence.fps),
    )
    yield file.getvalue()
