"""The embedded motion clips, their folds, and the body sizes they are shown in."""

import zlib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from mmssm.structures import h36m

FOLDS = (
    ('walk', 'dance_a', 'getup_facedown', 'punch', 'jump'),
    ('run', 'dance_b', 'roll', 'kick', 'cartwheel'),
    ('crawl', 'spin', 'getup_faceup', 'spinkick', 'backflip'),
)
"""Validation clips of each fold; the other ten train it. Each fold leaves out
one clip of every kind: locomotion, dance, floor, fight, acrobatics."""

_REMEDY = 'install mmssm again, or write it with tools/dataset_converters/mocap.py'

LEGS, TRUNK, ARMS = range(3)

_PART = np.array(
    [LEGS] * 7 + [TRUNK] * 5 + [ARMS] * 2 + [TRUNK] + [ARMS] * 2, dtype=np.intp
)
"""Part of the body that the bone above each joint belongs to."""


def _ancestors() -> np.ndarray:
    matrix = np.eye(h36m.NUM_JOINTS, dtype=np.float32)
    for parent, joint in h36m.SKELETON:
        matrix[joint] += matrix[parent]
    return matrix


_ANCESTORS = _ancestors()
_PARENTS = np.maximum(h36m.PARENTS, 0)


@dataclass(frozen=True)
class MocapClip:
    """A motion at 50 frames per second.

    Attributes:
        name: Name of the clip, such as ``'dance_a'``.
        joints: ``(F, 17, 3)`` world positions in Human3.6M's order, metres;
            x forward at the start, y left, z up from the ground.
        loop: Whether the last frame leads into the first.
    """

    name: str
    joints: np.ndarray
    loop: bool

    @property
    def action(self) -> str:
        """The name without underscores, as Human3.6M's file names want it."""
        return ''.join(part.capitalize() for part in self.name.split('_'))

    def frames(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Cuts a window that may reach beyond the clip.

        A looping clip goes on: later rounds begin where the root has got to.
        Any other clip stands still in its first and last frame.

        Args:
            start: First frame, may be negative.
            count: Number of frames.

        Returns:
            Joints ``(count, 17, 3)`` and the number of each frame within the
            clip ``(count,)``.
        """
        index = np.arange(start, start + count)
        size = len(self.joints)
        if not self.loop:
            index = index.clip(0, size - 1)
            return self.joints[index], index
        rounds, index = np.divmod(index, size)
        joints = self.joints[index]
        if rounds.any():
            joints = joints + rounds[:, None, None] * self._advance()
        return joints, index

    def _advance(self) -> np.ndarray:
        """Way of the root over the ground in one round, seam included."""
        root = self.joints[:, h36m.ROOT]
        step = root[1] - root[0]
        way = root[-1] - root[0] + step
        return np.array([way[0], way[1], 0.0], dtype=self.joints.dtype)


def on_stage(clip: MocapClip, size: npt.ArrayLike) -> MocapClip:
    """The clip by a body of some size, its middle over the world's origin.

    Args:
        clip: The clip.
        size: Factors for legs, trunk and arms, as of :func:`resize_body`.

    Returns:
        The clip with new joints.
    """
    joints = resize_body(clip.joints, size)
    middle = joints[:, h36m.ROOT].mean(0) * np.array([1, 1, 0], joints.dtype)
    return replace(clip, joints=joints - middle)


def resize_body(joints: np.ndarray, size: npt.ArrayLike) -> np.ndarray:
    """Changes bone lengths and keeps bone directions.

    Args:
        joints: ``(F, 17, 3)`` world positions, metres, ground at z = 0.
        size: Factors for legs, trunk and arms.

    Returns:
        ``(F, 17, 3)`` positions; root positions are scaled as the legs are.
    """
    factor = np.asarray(size, dtype=np.float32)
    bones = joints - joints[:, _PARENTS]
    bones[:, h36m.ROOT] = joints[:, h36m.ROOT]
    return _ANCESTORS @ (bones * factor[_PART][:, None])


def mocap_file() -> str:
    """Path of the file with the embedded clips."""
    return str(resources.files('mmssm.datasets') / 'mocap' / 'clips.npz')


def load_mocap_clips(path: str) -> dict[str, MocapClip]:
    """Reads the clips by name.

    Args:
        path: File written by ``tools/dataset_converters/mocap.py``.

    Returns:
        Clips in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a whole file of clips.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist; {_REMEDY}')
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {name: file[name] for name in file.files}
        joints, lengths, names, loops = (
            data[key] for key in ('joints', 'length', 'name', 'loop')
        )
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error) as error:
        raise ValueError(
            f'{path} is damaged or no file of clips ({type(error).__name__}: '
            f'{error}); {_REMEDY}'
        ) from error
    ends = np.cumsum(lengths)
    if joints.shape != (ends[-1], h36m.NUM_JOINTS, 3):
        raise ValueError(
            f'{path}: expected joints of shape ({ends[-1]}, {h36m.NUM_JOINTS}, 3), '
            f'found {joints.shape}; {_REMEDY}'
        )
    parts = np.split(joints, ends[:-1])
    return {
        str(name): MocapClip(str(name), part, bool(loop))
        for name, part, loop in zip(names, parts, loops, strict=True)
    }


def fold_clips(
    clips: dict[str, MocapClip], fold: int, validation: bool
) -> list[MocapClip]:
    """One side of a fold.

    Args:
        clips: All clips by name.
        fold: 0, 1 or 2.
        validation: The five clips left out, else the ten others.

    Returns:
        The clips.

    Raises:
        ValueError: There is no such fold.
    """
    if fold not in range(len(FOLDS)):
        raise ValueError(f'fold must be 0 to {len(FOLDS) - 1}, got {fold!r}')
    return [clip for name, clip in clips.items() if (name in FOLDS[fold]) == validation]
