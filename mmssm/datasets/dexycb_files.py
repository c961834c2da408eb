"""DexYCB in its official tree, its splits, and an index of its labels."""

import re
from collections.abc import Iterator, Mapping
from logging import WARNING
from os import path as osp
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml  # type: ignore[import-untyped]
from mmengine.logging import print_log
from mmengine.utils import ProgressBar

from mmssm.datasets.dexycb_splits import ALL, SEQUENCES, Choice, choice
from mmssm.datasets.dexycb_splits import SETUPS as SETUPS
from mmssm.datasets.dexycb_splits import SPLITS as SPLITS
from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.datasets.mano_poses import PoseSpace, from_components, mesh_columns
from mmssm.utils.annotation_files import (
    DAMAGED,
    check_shape,
    damaged,
    read_npz,
    require,
    require_keys,
    texts,
)

PREPARATION = 'docs/datasets/dexycb.md says where the files come from'

SUBJECTS = (
    '20200709-subject-01',
    '20200813-subject-02',
    '20200820-subject-03',
    '20200903-subject-04',
    '20200908-subject-05',
    '20200918-subject-06',
    '20200928-subject-07',
    '20201002-subject-08',
    '20201015-subject-09',
    '20201022-subject-10',
)
"""Folders of the subjects, in the order of their numbers."""

SERIALS = (
    '836212060125',
    '839512060362',
    '840412060917',
    '841412060263',
    '932122060857',
    '932122060861',
    '932122061900',
    '932122062010',
)
"""Folders of the cameras, in the order of their numbers."""

SIZE = (640, 480)
"""Width and height of the images, pixels."""

MOST_FRAMES = 10000
"""Frames of a camera in a sequence; the released ones have below a hundred."""

COUNTS = {('s0', 'train'): 465504}
"""Frames of released splits, those without a hand included."""

HANDS = {('s0', 'train'): 406888, ('s1', 'train'): 407088}
"""Frames with a hand, as other loaders count them."""


class Recording(NamedTuple):
    """A recording of one subject by all cameras.

    Attributes:
        subject: Number of the subject.
        place: Place among the subject's sorted sequences.
        name: ``<subject>/<sequence>``.
        frames: Frames of each camera.
        right: Whether the hand is a right hand.
        calibration: Folder of the hand's shape, ``mano_<calibration>``; None where
            it is not named.
    """

    subject: int
    place: int
    name: str
    frames: int
    right: bool
    calibration: str | None = None


def list_sequences(root: str, chosen: Choice, partial: bool = False) -> list[Recording]:
    """Finds the sequences of a split and reads their ``meta.yml``.

    Args:
        root: Folder of the subjects.
        chosen: The split.
        partial: Take what is there of a part of the data set.

    Returns:
        Sequences by subject and name.

    Raises:
        FileNotFoundError: Subjects or ``meta.yml`` are missing.
        ValueError: A subject has another number of sequences, so that their places
            mean nothing, or a ``meta.yml`` does not hold what it should.
    """
    found = []
    for number in chosen.subjects:
        folder = Path(root) / SUBJECTS[number]
        names = sorted(path.name for path in folder.glob('*') if path.is_dir())
        if len(names) != SEQUENCES:
            message = (
                f'{folder} holds {len(names)} sequences, the data set has {SEQUENCES}'
            )
            if not partial:
                raise ValueError(
                    f'{message}: splits are places in the whole sorted list '
                    f'(partial=True takes what is there); {PREPARATION}'
                )
            print_log(message, 'current', WARNING)
        for place, name in enumerate(names):
            if place in chosen.sequences:
                found.append(_read_sequence(root, number, place, name))
    if not found:
        raise ValueError(f'{root} holds no sequence of this split; {PREPARATION}')
    return found


def _read_sequence(root: str, subject: int, place: int, folder: str) -> Recording:
    name = f'{SUBJECTS[subject]}/{folder}'
    path = osp.join(root, name, 'meta.yml')
    meta = _read_yaml(path, ('num_frames', 'mano_sides'))
    frames, sides = meta['num_frames'], meta['mano_sides']
    if not isinstance(frames, int) or not 0 < frames <= MOST_FRAMES:
        raise ValueError(
            f'{path}: expected num_frames from 1 to {MOST_FRAMES}, found {frames!r}'
        )
    if sides not in (['right'], ['left']):
        raise ValueError(
            f"{path}: expected mano_sides ['right'] or ['left'], found {sides!r}"
        )
    calibration = _calibration(path, meta.get('mano_calib'))
    return Recording(subject, place, name, frames, sides == ['right'], calibration)


def _calibration(path: str, names: Any) -> str | None:
    """The one name, which becomes that of a folder."""
    if names is None:
        return None
    one = isinstance(names, list) and len(names) == 1 and isinstance(names[0], str)
    if not one or not re.fullmatch(r'[\w-]+', names[0]):
        raise ValueError(
            f'{path}: expected mano_calib to be one name of letters, digits and '
            f'dashes, found {names!r}'
        )
    return names[0]


def _read_yaml(path: str, keys: tuple[str, ...]) -> Mapping:
    require(path, 'file', PREPARATION)
    try:
        with open(path, encoding='utf-8') as file:
            data = yaml.safe_load(file)
    except (*DAMAGED, yaml.YAMLError) as error:
        raise damaged(path, 'file', error) from error
    return require_keys(path, 'the file', data, keys)


def read_intrinsics(root: str, camera: int) -> np.ndarray:
    """Reads a colour camera.

    Args:
        root: Folder of the subjects and of ``calibration``.
        camera: Number of the camera.

    Returns:
        ``(4,)`` fx, fy, cx, cy in pixels.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """
    name = f'{SERIALS[camera]}_{SIZE[0]}x{SIZE[1]}.yml'
    path = osp.join(root, 'calibration', 'intrinsics', name)
    color = _read_yaml(path, ('color',))['color']
    keys = ('fx', 'fy', 'ppx', 'ppy')
    require_keys(path, 'color', color, keys)
    return check_shape(path, 'color', [color[key] for key in keys], (4,))


def read_shape(root: str, recording: Recording) -> np.ndarray:
    """Reads the shape of a recording's hand.

    Args:
        root: Folder of the subjects and of ``calibration``.
        recording: The recording.

    Returns:
        ``(10,)`` shape coefficients of MANO; NaN where no calibration is named.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """
    if recording.calibration is None:
        return np.full(10, np.nan)
    folder = f'mano_{recording.calibration}'
    path = osp.join(root, 'calibration', folder, 'mano.yml')
    return check_shape(path, 'betas', _read_yaml(path, ('betas',))['betas'], (10,))


class Labels(NamedTuple):
    """Labels of every frame, camera after camera, frame after frame.

    Attributes:
        sequence: ``(N,)`` which of the sequences.
        camera: ``(N,)`` number of the camera.
        frame: ``(N,)`` number of the frame.
        joint_3d: ``(N, 21, 3)`` metres, camera frame; -1 without a hand.
        joint_2d: ``(N, 21, 2)`` pixels; -1 without a hand.
        pose_m: ``(N, 51)`` MANO: axis-angle of the wrist, 45 coefficients of
            principal components, translation in metres; 0 where not known, NaN
            where the files lack it.
    """

    sequence: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    joint_3d: np.ndarray
    joint_2d: np.ndarray
    pose_m: np.ndarray


def read_labels(root: str, sequences: list[Recording], chosen: Choice) -> Labels:
    """Reads the label files of some sequences one by one, with a progress bar.

    Args:
        root: Folder of the subjects.
        sequences: What :func:`list_sequences` found.
        chosen: The split.

    Returns:
        Their labels, in the order of the official toolkit.

    Raises:
        FileNotFoundError: A label file is missing.
        ValueError: One does not hold what it should.
    """
    places = list(_places(sequences, chosen))
    joint_3d = np.empty((len(places), 21, 3), np.float32)
    joint_2d = np.empty((len(places), 21, 2), np.float32)
    pose_m = np.empty((len(places), 51), np.float32)
    progress = ProgressBar(len(places))
    for row, (number, camera, frame) in enumerate(places):
        folder = osp.join(root, sequences[number].name, SERIALS[camera])
        joint_3d[row], joint_2d[row], pose_m[row] = _read_label(
            osp.join(folder, f'labels_{frame:06d}.npz')
        )
        progress.update()
    table = np.array(places, np.int32).reshape(-1, 3)
    return Labels(table[:, 0], table[:, 1], table[:, 2], joint_3d, joint_2d, pose_m)


def _places(
    sequences: list[Recording], chosen: Choice
) -> Iterator[tuple[int, int, int]]:
    for number, one in enumerate(sequences):
        for camera in chosen.cameras:
            for frame in range(one.frames):
                yield number, camera, frame


LABEL_SHAPES = {'joint_3d': (1, 21, 3), 'joint_2d': (1, 21, 2), 'pose_m': (1, 51)}
"""What is read of a label file; ``seg``, most of the file, is not."""

OPTIONAL = ('pose_m', 'betas')
"""What is needed for MANO's parameters alone."""


def _read_label(path: str) -> list[np.ndarray]:
    require(path, 'label file', PREPARATION)
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {key: data[key] for key in LABEL_SHAPES if key in data}
    except (*DAMAGED, AttributeError) as error:
        raise damaged(path, 'label file', error) from error
    require_keys(path, 'the file', found, set(LABEL_SHAPES) - set(OPTIONAL))
    found.setdefault('pose_m', np.full((1, 51), np.nan))
    return [
        check_shape(path, key, found[key], shape)[0]
        for key, shape in LABEL_SHAPES.items()
    ]


INDEX_SHAPES: dict[str, tuple[int | None, ...]] = {
    'sequence': (None,),
    'camera': (None,),
    'frame': (None,),
    'joint_3d': (None, 21, 3),
    'joint_2d': (None, 21, 2),
    'pose_m': (None, 51),
    'subject': (None,),
    'place': (None,),
    'frames': (None,),
    'right': (None,),
    'betas': (None, 10),
    'intrinsics': (8, 4),
}


def write_index(root: str, path: str, partial: bool = False) -> int:
    """Gathers all labels in one file, which is read in seconds.

    Args:
        root: Folder of the subjects.
        path: The ``.npz`` file to write.
        partial: As in :func:`list_sequences`; cameras of which nothing is there are
            left out too.

    Returns:
        Frames in it.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file does not hold what it should.
    """
    chosen = Choice(**{name: tuple(numbers) for name, numbers in ALL.items()})
    sequences = list_sequences(root, chosen, partial)
    if partial:
        chosen = chosen._replace(cameras=_cameras_there(root, sequences))
    intrinsics = np.full((8, 4), np.nan)
    for camera in chosen.cameras:
        intrinsics[camera] = read_intrinsics(root, camera)
    labels = read_labels(root, sequences, chosen)
    np.savez(
        path,
        **labels._asdict(),
        subject=np.array([one.subject for one in sequences]),
        place=np.array([one.place for one in sequences]),
        name=np.array([one.name for one in sequences]),
        frames=np.array([one.frames for one in sequences]),
        right=np.array([one.right for one in sequences]),
        betas=np.array([read_shape(root, one) for one in sequences]),
        intrinsics=intrinsics,
    )
    return len(labels.frame)


def _cameras_there(root: str, sequences: list[Recording]) -> tuple[int, ...]:
    return tuple(
        camera
        for camera, serial in enumerate(SERIALS)
        if all((Path(root) / one.name / serial).is_dir() for one in sequences)
    )


class Index(NamedTuple):
    """What :func:`write_index` wrote.

    Attributes:
        sequences: The recordings.
        labels: Their labels.
        intrinsics: ``(8, 4)`` fx, fy, cx, cy of the cameras, pixels.
        betas: ``(S, 10)`` shape coefficients of each recording; NaN where not known.
    """

    sequences: list[Recording]
    labels: Labels
    intrinsics: np.ndarray
    betas: np.ndarray


def read_index(path: str) -> Index:
    """Reads what :func:`write_index` wrote.

    Args:
        path: The ``.npz`` file.

    Returns:
        What it holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """
    preparation = 'tools/dataset_converters/dexycb_index.py makes it'
    data = read_npz(path, 'index', preparation)
    require_keys(path, 'the file', data, {*INDEX_SHAPES, 'name'} - set(OPTIONAL))
    for key, shape in INDEX_SHAPES.items():
        if key in data:
            check_shape(path, key, data[key], shape)
    data.setdefault('pose_m', np.full((len(data['frame']), 51), np.nan))
    data.setdefault('betas', np.full((len(data['subject']), 10), np.nan))
    count, rows = len(data['subject']), len(data['frame'])
    names = texts(path, 'name', data['name'], count)
    for keys, size in (
        (('subject', 'place', 'frames', 'right', 'betas'), count),
        (Labels._fields, rows),
    ):
        for key in keys:
            check_shape(path, key, data[key], (size, *data[key].shape[1:]))
    limits = {'sequence': count, 'camera': 8, 'subject': 10, 'place': SEQUENCES}
    for key, stop in {**limits, 'frame': 1000000, 'frames': MOST_FRAMES + 1}.items():
        column = data[key]
        whole = column.dtype.kind in 'iu'
        if column.size and not (whole and column.min() >= 0 and column.max() < stop):
            raise ValueError(f'{path}: {key} must be whole numbers in [0, {stop})')
    sequences = [
        Recording(
            int(data['subject'][i]),
            int(data['place'][i]),
            str(names[i]),
            int(data['frames'][i]),
            bool(data['right'][i]),
        )
        for i in range(count)
    ]
    labels = Labels(**{key: data[key] for key in Labels._fields})
    return Index(sequences, labels, data['intrinsics'], data['betas'])


def read_hands(
    root: str,
    setup: str,
    split: str,
    index_file: str | None = None,
    partial: bool = False,
    mano: Mapping[str, PoseSpace | None] | None = None,
) -> HandAnnotations:
    """Reads the hands of a split.

    Args:
        root: Folder of the subjects.
        setup: ``'s0'`` to ``'s3'``.
        split: ``'train'``, ``'val'`` or ``'test'``.
        index_file: What :func:`write_index` wrote; without it every label file is
            read.
        partial: As in :func:`list_sequences`.
        mano: Components of MANO's models by ``'right'`` and ``'left'``; poses of a
            hand with None are not known. None: no parameters are added.

    Returns:
        The frames with a hand. ``img_id`` counts all frames of the split, as the
        official result file does.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file does not hold what it should, or no hand is left.
    """
    chosen = choice(setup, split)
    if index_file is not None:
        sequences, labels, intrinsics, betas = read_index(index_file)
        if not partial:
            _require_whole(index_file, sequences, chosen)
        labels = _choose(sequences, labels, chosen)
    else:
        sequences = list_sequences(root, chosen, partial)
        if partial:
            found = _cameras_there(root, sequences)
            cameras = tuple(one for one in chosen.cameras if one in found)
            chosen = chosen._replace(cameras=cameras)
        intrinsics = np.full((8, 4), np.nan)
        for camera in chosen.cameras:
            intrinsics[camera] = read_intrinsics(root, camera)
        labels = read_labels(root, sequences, chosen)
        betas = np.zeros((len(sequences), 10))
        if mano is not None:
            betas[:] = [read_shape(root, one) for one in sequences]
    there = np.flatnonzero((labels.joint_3d != -1).any((1, 2)))
    if not len(there):
        raise ValueError(f'{root} holds no hand of {setup} {split}; {PREPARATION}')
    total = len(labels.frame)
    labels = Labels(*(column[there] for column in labels))
    right = np.array([one.right for one in sequences])
    camera = intrinsics[labels.camera]
    return HandAnnotations(
        source=index_file or root,
        image=[
            osp.join(
                root,
                sequences[labels.sequence[i]].name,
                SERIALS[labels.camera[i]],
                f'color_{labels.frame[i]:06d}.jpg',
            )
            for i in range(len(there))
        ],
        row=np.arange(len(there)),
        img_id=there,
        keypoints=labels.joint_2d,
        visible=np.ones(labels.joint_2d.shape[:2], np.float32),
        joints=labels.joint_3d,
        focal=camera[:, :2],
        principal=camera[:, 2:],
        right=right[labels.sequence],
        size=np.tile(SIZE, (len(there), 1)),
        total=total,
        extra=(
            {}
            if mano is None
            else _parameters(index_file or root, labels, right, betas, mano)
        ),
    )


def _parameters(
    source: str,
    labels: Labels,
    right: np.ndarray,
    betas: np.ndarray,
    mano: Mapping[str, PoseSpace | None],
) -> dict[str, np.ndarray]:
    """Columns of MANO's parameters.

    The shapes of left hands are those of a left model whose first shape direction
    has the wrong sign, so that no right hand is their mirror image: not known here.
    """
    if np.isnan(labels.pose_m).any():
        raise ValueError(
            f'{source} lacks pose_m of some hands; an index that was made without them '
            'must be made again: tools/dataset_converters/dexycb_index.py'
        )
    pose = np.full((len(labels.frame), 48), np.nan)
    stored = labels.pose_m.any(1)
    for side, space in mano.items():
        rows = stored & (right[labels.sequence] == (side == 'right'))
        if space is not None:
            pose[rows] = from_components(labels.pose_m[rows, :48], space)
    shapes = betas[labels.sequence].astype(np.float64)
    shapes[~right[labels.sequence]] = np.nan
    return mesh_columns(pose, shapes, len(pose))


def _choose(sequences: list[Recording], labels: Labels, chosen: Choice) -> Labels:
    good = np.array(
        [
            one.subject in chosen.subjects and one.place in chosen.sequences
            for one in sequences
        ]
    )
    kept = good[labels.sequence] & np.isin(labels.camera, chosen.cameras)
    return Labels(*(column[kept] for column in labels))


def _require_whole(path: str, sequences: list[Recording], chosen: Choice) -> None:
    counts = np.bincount([one.subject for one in sequences], minlength=10)
    for subject in chosen.subjects:
        if counts[subject] != SEQUENCES:
            raise ValueError(
                f'{path} holds {counts[subject]} sequences of {SUBJECTS[subject]}, the '
                f'data set has {SEQUENCES} (partial=True takes what is there)'
            )
