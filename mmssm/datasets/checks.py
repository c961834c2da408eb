"""What the released files hold, to compare with what a data set found."""

from os import path as osp
from typing import NamedTuple

import numpy as np

from mmssm.datasets import motionbert_files, mpi_inf_3dhp_files
from mmssm.datasets.datasets import (
    Human36mDataset,
    Human36mMotionBERTDataset,
    MpiInf3dhpDataset,
)
from mmssm.datasets.datasets.clip_dataset import ClipDataset


class Check(NamedTuple):
    """One number of a data set.

    Attributes:
        what: What is counted or measured.
        found: The number.
        expected: What the released files give, or None where nothing is known.
    """

    what: str
    found: float
    expected: float | None

    @property
    def passed(self) -> bool:
        """Whether nothing else was expected."""
        return self.expected is None or self.found == self.expected


def check(dataset: Human36mDataset | ClipDataset) -> list[Check]:
    """Counts frames and clips, and compares with the released files.

    Args:
        dataset: One of this package's that read released files.

    Returns:
        The numbers, in the order to print them.

    Raises:
        TypeError: It is of another kind.
    """
    if isinstance(dataset, Human36mMotionBERTDataset):
        return _check_motionbert(dataset)
    if isinstance(dataset, MpiInf3dhpDataset):
        return _check_mpi_inf_3dhp(dataset)
    if isinstance(dataset, Human36mDataset):
        return _check_h36m(dataset)
    raise TypeError(
        'expected mmssm.Human36mDataset, mmssm.Human36mMotionBERTDataset or '
        f'mmssm.MpiInf3dhpDataset, got {type(dataset).__name__}, which reads no '
        'released file that this check knows'
    )


def _clips_of(split: str, length: int, stride: int) -> int | None:
    known = {('train', 243, 81), ('test', 243, 243)}
    return motionbert_files.CLIPS[split] if (split, length, stride) in known else None


def _check_motionbert(dataset: Human36mMotionBERTDataset) -> list[Check]:
    split, clips = dataset.split, len(dataset.sequence_indices)
    return [
        Check('frames', len(dataset.footage.film), motionbert_files.FRAMES[split]),
        Check('videos', len(dataset.footage.films), None),
        Check('clips', clips, _clips_of(split, dataset.seq_len, dataset.stride)),
    ]


def _check_h36m(dataset: Human36mDataset) -> list[Check]:
    """Before ``full_init``, which lets go of the annotations."""
    known = {f'h36m_{split}_original.npz': split for split in motionbert_files.FRAMES}
    split = known.get(osp.basename(dataset.ann_file))
    frames = len(dataset.ann_data['imgname'])
    length, stride = dataset.multiple_target, dataset.multiple_target_step
    return [
        Check('frames', frames, motionbert_files.FRAMES[split] if split else None),
        Check('videos', len(dataset._videos), None),
        Check(
            'clips',
            len(dataset.sequence_indices),
            _clips_of(split, length, stride) if split else None,
        ),
    ]


def _check_mpi_inf_3dhp(dataset: MpiInf3dhpDataset) -> list[Check]:
    files = mpi_inf_3dhp_files
    test = dataset.footage.films[0].name.startswith('TS')
    sizes = np.bincount(dataset.footage.film)
    found = {
        film.name: int(size)
        for film, size in zip(dataset.footage.films, sizes, strict=True)
    }
    if test:
        # MMPose's converter keeps the valid frames alone
        valid_only = sum(found.values()) == dataset._valid.sum()
        expected = files.VALID_FRAMES if valid_only else files.TEST_FRAMES
    else:
        expected = {
            f'{name.replace(" ", "_")}_Cam{camera}': frames
            for name, frames in files.TRAIN_FRAMES.items()
            for camera in files.CAMERAS
        }
    checks = [
        Check('videos', len(found), len(expected)),
        Check('frames', sum(found.values()), sum(expected.values())),
    ]
    if test:
        valid = int(dataset._valid.sum())
        checks.append(Check('valid frames', valid, sum(files.VALID_FRAMES.values())))
    checks += [
        Check(f'frames of {name}', count, expected.get(name, 0))
        for name, count in found.items()
        if count != expected.get(name)
    ]
    clips = len(dataset.sequence_indices)
    return [*checks, Check('clips', clips, _expected_clips(dataset, expected, test))]


def _expected_clips(
    dataset: MpiInf3dhpDataset, frames: dict[str, int], test: bool
) -> int | None:
    if not test and not dataset.test_mode:
        return sum(-(-count // dataset.stride) for count in frames.values())
    if test and dataset.test_mode and dataset.center_target:
        return sum(mpi_inf_3dhp_files.VALID_FRAMES.values())
    return None


def hip_distance(dataset: Human36mDataset | ClipDataset) -> float:
    """How far the pelvis lies from the middle of the hips, over bone length.

    A median over frames of the distance in parts of the distance between the
    hips: below a quarter in Human3.6M's order, much more in any other.

    Args:
        dataset: As for :func:`check`.
    """
    if isinstance(dataset, ClipDataset):
        joints = dataset.footage.joints
    else:
        joints = dataset.ann_data['S'][..., :3]
    step = max(1, len(joints) // 5000)
    joints = np.asarray(joints[::step], np.float64)
    right, left = joints[:, 1], joints[:, 4]
    width = np.linalg.norm(right - left, axis=-1)
    off = np.linalg.norm((right + left) / 2 - joints[:, 0], axis=-1)
    return float(np.median(off / np.maximum(width, 1e-9)))
