"""Reading and checking the files of MMPose's Human3.6M layout.

Each function reads one file whole and raises one error that says what was
expected, what was found and what to do.
"""

import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmssm.utils import safe_pickle

PREPARATION = (
    'see "Human3.6M" in MMPose\'s docs/en/dataset_zoo/3d_body_keypoint.md for how '
    'the files are made'
)

_DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def _require(path: str, what: str) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f'{what} {path} does not exist; {PREPARATION}')


def _damaged(path: str, what: str, error: Exception) -> ValueError:
    return ValueError(
        f'{what} {path} ({Path(path).stat().st_size:,} bytes) is damaged or cut '
        f'short ({type(error).__name__}: {error}); fetch or write it again'
    )


def _check_shape(path: str, name: str, array: np.ndarray, shape: tuple) -> None:
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ', '.join('frames' if n is None else str(n) for n in shape)
        raise ValueError(
            f'{path}: expected {name} of shape ({wanted}), found {array.shape}'
        )


def _check_finite(
    path: str, name: str, array: np.ndarray, imgnames: np.ndarray
) -> None:
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(1)
    if bad.any():
        first = bad.argmax()
        raise ValueError(
            f'{path}: {name} is NaN or infinite in {bad.sum()} of {len(bad)} frames, '
            f'first in frame {first} ({imgnames[first]}); repair or remove them'
        )


def read_annotations(path: str, num_keypoints: int) -> dict[str, np.ndarray]:
    """Reads an annotation file.

    Args:
        path: ``h36m_train.npz`` or the like.
        num_keypoints: Joints expected, K.

    Returns:
        ``imgname (F,)``, ``part (F, K, 3)`` pixels and confidence, ``S
        (F, K, 4)`` metres in the camera's frame and visibility; ``center
        (F, 2)`` and ``scale (F,)`` where the file has them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is cut short, lacks an array, has no frames,
            another number of joints, or NaN.
    """
    what = 'annotation file'
    _require(path, what)
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except _DAMAGED as error:
        raise _damaged(path, what, error) from error
    missing = {'imgname', 'part', 'S'} - arrays.keys()
    if missing:
        raise ValueError(
            f'{path}: expected the arrays imgname, part and S, found '
            f'{sorted(arrays)}; {PREPARATION}'
        )
    imgnames = arrays['imgname']
    frames = len(imgnames)
    if frames == 0:
        raise ValueError(f'{path} holds no frames; {PREPARATION}')
    shapes = {
        'part': (frames, num_keypoints, 3),
        'S': (frames, num_keypoints, 4),
        'center': (frames, 2),
        'scale': (frames,),
    }
    for name in shapes.keys() & arrays.keys():
        _check_shape(path, name, arrays[name], shapes[name])
        _check_finite(path, name, arrays[name], imgnames)
    return {'imgname': imgnames} | {
        name: arrays[name] for name in shapes if name in arrays
    }


def check_detections(path: str, imgnames: np.ndarray, num_keypoints: int) -> None:
    """Checks a file of 2D detections ``(F, K, 3)``: pixels and confidence.

    Args:
        path: ``.npy`` file.
        imgnames: ``(F,)`` names of the annotated frames.
        num_keypoints: Joints expected, K.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or does not fit the annotations.
    """
    array = _read_array(path, '2D detection file')
    _check_shape(path, 'detections', array, (len(imgnames), num_keypoints, 3))
    _check_finite(path, 'a detection', array, imgnames)


def check_factors(path: str, imgnames: np.ndarray) -> None:
    """Checks a file of factors ``(F,)``, millimetres per pixel.

    Args:
        path: ``.npy`` file.
        imgnames: ``(F,)`` names of the annotated frames.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, does not fit the annotations, or a factor is
            not positive.
    """
    array = _read_array(path, 'factor file')
    _check_shape(path, 'factors', array, (len(imgnames),))
    _check_finite(path, 'a factor', array, imgnames)
    if array.min() <= 0:
        raise ValueError(
            f'{path}: expected positive factors (mm per px), found {array.min()}'
        )


def _read_array(path: str, what: str) -> np.ndarray:
    _require(path, what)
    try:
        return np.load(path, allow_pickle=False)
    except _DAMAGED as error:
        raise _damaged(path, what, error) from error


def read_cameras(path: str) -> dict[tuple[str, str], dict]:
    """Reads a camera file without running anything it holds.

    MMPose loads it with :mod:`pickle`, which runs what a file tells it to.

    Args:
        path: ``cameras.pkl``: (subject, camera) to ``camera_param``.

    Returns:
        The cameras.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or no table of cameras.
    """
    what = 'camera file'
    _require(path, what)
    try:
        cameras = safe_pickle.load(path, encoding='latin1')
    except pickle.UnpicklingError as error:
        raise _damaged(path, what, error) from error
    if not isinstance(cameras, dict) or not cameras:
        raise ValueError(
            f'{path}: expected a dict from (subject, camera) to camera parameters, '
            f'found {type(cameras).__name__}; {PREPARATION}'
        )
    return cameras


def check_cameras(path: str, cameras: Mapping, needed: set[tuple[str, str]]) -> None:
    """Checks that each camera a dataset needs is there and whole.

    Args:
        path: The file, for messages.
        cameras: What :func:`read_cameras` returned.
        needed: (subject, camera) pairs.

    Raises:
        ValueError: One is missing, or has no valid ``w``, ``h``, ``f``, ``c``.
    """
    missing = sorted(needed - cameras.keys())
    if missing:
        raise ValueError(
            f'{path}: {len(missing)} of {len(needed)} cameras are missing, first '
            f'{missing[0]}; it holds {sorted(cameras, key=str)[:4]} and so on'
        )
    for key in sorted(needed):
        for name, size in {'w': 1, 'h': 1, 'f': 2, 'c': 2}.items():
            value = np.asarray(cameras[key].get(name, ()))
            valid = value.size == size and value.dtype.kind in 'iuf'
            if not valid or not (np.isfinite(value) & (value > 0)).all():
                raise ValueError(
                    f'{path}: camera {key} needs {size} positive '
                    f'number{"s" * (size > 1)} {name} in pixels, found {value.tolist()}'
                )
