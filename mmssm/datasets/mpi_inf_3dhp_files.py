"""MPI-INF-3DHP in the files of P-STMO and of MMPose's converter."""

import zipfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mmssm.datasets import clips
from mmssm.utils.annotation_files import (
    DAMAGED,
    as_array,
    check_finite,
    check_shape,
    damaged,
    match,
    read_npz,
    read_pickled_member,
    require,
    require_keys,
)

PREPARATION = 'docs/datasets/mpi_inf_3dhp.md says how the files are made'

TRAIN_FRAMES = {
    'S1 Seq1': 6416,
    'S1 Seq2': 12430,
    'S2 Seq1': 6502,
    'S2 Seq2': 6081,
    'S3 Seq1': 12488,
    'S3 Seq2': 12283,
    'S4 Seq1': 6171,
    'S4 Seq2': 6675,
    'S5 Seq1': 12820,
    'S5 Seq2': 12312,
    'S6 Seq1': 6188,
    'S6 Seq2': 6145,
    'S7 Seq1': 6239,
    'S7 Seq2': 6320,
    'S8 Seq1': 6468,
    'S8 Seq2': 6054,
}
"""Frames of each training sequence, per camera."""

CAMERAS = ('0', '1', '2', '4', '5', '6', '7', '8')
"""Cameras of the training sequences that are used."""

TEST_FRAMES = {
    'TS1': 6151,
    'TS2': 6080,
    'TS3': 5838,
    'TS4': 6007,
    'TS5': 320,
    'TS6': 492,
}
"""Frames of each test sequence."""

VALID_FRAMES = {'TS1': 603, 'TS2': 540, 'TS3': 505, 'TS4': 553, 'TS5': 276, 'TS6': 452}
"""Frames of each test sequence that are evaluated."""

TRAIN_SIZE = (2048, 2048)


def image_size(name: str) -> tuple[int, int]:
    """Width and height of a video's images, pixels."""
    return (1920, 1080) if name.split('_')[0] in ('TS5', 'TS6') else TRAIN_SIZE


class Video(NamedTuple):
    """One video of one camera, in the annotations' own order of joints.

    Attributes:
        name: Such as ``S1_Seq2_Cam0`` or ``TS1``.
        number: ``(F,)`` numbers of the frames, from 1.
        keypoints: ``(F, 17, 2)`` pixels.
        joints: ``(F, 17, 3)`` millimetres.
        valid: ``(F,)`` bool, whether a frame is evaluated.
    """

    name: str
    number: np.ndarray
    keypoints: np.ndarray
    joints: np.ndarray
    valid: np.ndarray


def is_converted(path: str) -> bool:
    """Whether a file is from MMPose's converter rather than from P-STMO.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is neither.
    """
    what = 'annotation file'
    require(path, what, PREPARATION)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix('.npy') for name in archive.namelist()}
    except DAMAGED as error:
        raise damaged(path, what, error) from error
    if 'data' in names:
        return False
    if {'imgname', 'part', 'S'} <= names:
        return True
    raise ValueError(
        f"{path}: expected the array 'data' (P-STMO) or imgname, part and S (MMPose's "
        f'preprocess_mpi_inf_3dhp.py), found {sorted(names)}; {PREPARATION}'
    )


def read_videos(path: str, num_keypoints: int = 17) -> list[Video]:
    """Reads either kind of file, without running anything it holds.

    Args:
        path: ``data_{train,test}_3dhp.npz`` of P-STMO and MotionAGFormer, which
            hold the universal annotation, or ``mpi_inf_3dhp_*.npz`` of MMPose's
            converter, which hold the metric one.
        num_keypoints: Joints expected.

    Returns:
        The videos, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, foreign, asks for code, lacks a key, has
            another number of joints, unequal lengths of 2D and 3D, NaN, or no
            3D at all.
    """
    if is_converted(path):
        videos = list(_converted_videos(path, num_keypoints))
    else:
        videos = list(_pstmo_videos(path, num_keypoints))
    if not videos:
        raise ValueError(f'{path} holds no frames; {PREPARATION}')
    return videos


def _pstmo_videos(path: str, joints: int) -> Iterator[Video]:
    data = read_pickled_member(path, 'data', 'annotation file', PREPARATION)
    require_keys(path, 'data', data, ())
    for key, entry in data.items():
        if str(key).startswith('TS'):
            match(path, 'a key of data', r'TS\d+', str(key), 'TS1')
            yield _pstmo_video(path, str(key), f"data['{key}']", entry, joints)
            continue
        example = 'S1 Seq1'
        sequence = match(path, 'a key of data', r'S\d+ Seq\d+', str(key), example)
        where = f"data['{key}'][0]"
        if isinstance(entry, np.ndarray):
            entry = entry.tolist()
        if not isinstance(entry, list | tuple) or not entry:
            raise ValueError(
                f"{path}: expected data['{key}'] to be a list of cameras and frame "
                f'rate, found {type(entry).__name__}'
            )
        for camera, shot in require_keys(path, where, entry[0], ()).items():
            name = f'{sequence.group().replace(" ", "_")}_Cam{camera}'
            yield _pstmo_video(path, name, f"{where}['{camera}']", shot, joints)


def _pstmo_video(path: str, name: str, where: str, entry: Any, joints: int) -> Video:
    test = name.startswith('TS')
    require_keys(
        path, where, entry, ['data_2d', 'data_3d', *(['valid'] if test else [])]
    )
    two = check_shape(
        path, f"{where}['data_2d']", entry['data_2d'], (None, joints, None)
    )
    frames = len(two)
    three = check_shape(
        path, f"{where}['data_3d']", entry['data_3d'], (frames, joints, 3)
    )
    valid = np.ones(frames, bool)
    if test:
        flags = as_array(path, f"{where}['valid']", entry['valid']).ravel()
        valid = check_shape(path, f"{where}['valid']", flags, (frames,)) > 0
    return _checked(
        path, where, Video(name, np.arange(1, frames + 1), two[..., :2], three, valid)
    )


def _checked(path: str, where: str, video: Video) -> Video:
    check_finite(path, f"{where}['data_2d']", video.keypoints)
    check_finite(path, f"{where}['data_3d']", video.joints)
    if not len(video.joints):
        raise ValueError(f'{path}: {where} holds no frames')
    if not video.joints.any():
        raise ValueError(
            f'{path}: {where} holds no 3D joints, all are 0; training and evaluation '
            f'need them; {PREPARATION}'
        )
    return video._replace(
        keypoints=video.keypoints.astype(np.float32),
        joints=video.joints.astype(np.float32),
    )


def _converted_videos(path: str, joints: int) -> Iterator[Video]:
    arrays = read_npz(path, 'annotation file', PREPARATION)
    names = arrays['imgname']
    if names.ndim != 1 or names.dtype.kind != 'U':
        raise ValueError(
            f'{path}: expected imgname to be a list of texts, found {names.dtype} of '
            f'shape {names.shape}'
        )
    frames = len(names)
    part = check_shape(path, 'part', arrays['part'], (frames, joints, 3))
    three = check_shape(path, 'S', arrays['S'], (frames, joints, 4))
    check_finite(path, 'part', part, names)
    check_finite(path, 'S', three, names)
    pattern = r'(TS\d+|S\d+_Seq\d+_Cam\d+)_(\d{1,9})\.jpg'
    found = [
        match(path, 'imgname', pattern, name.rpartition('/')[2], 'TS1_002001.jpg')
        for name in names.tolist()
    ]
    film = np.array([name.group(1) for name in found])
    number = np.array([int(name.group(2)) for name in found])
    for start, stop in clips.runs(film):
        part_of = slice(start, stop)
        yield _checked(
            path,
            str(film[start]),
            Video(
                str(film[start]),
                number[part_of],
                part[part_of, :, :2],
                1000 * three[part_of, :, :3],
                np.ones(stop - start, bool),
            ),
        )
