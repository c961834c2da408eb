"""Reading and checking the files of MMPose's Human3.6M layout.

Each function reads one file whole and raises one error that says what was
expected, what was found and what to do.
"""

from collections.abc import Mapping

import numpy as np

from mmssm.utils.annotation_files import (
    as_array,
    check_finite,
    check_shape,
    read_npy,
    read_npz,
    read_pickle,
    require_keys,
)

PREPARATION = (
    'see "Human3.6M" in MMPose\'s docs/en/dataset_zoo/3d_body_keypoint.md for how '
    'the files are made'
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
    arrays = read_npz(path, 'annotation file', PREPARATION)
    missing = {'imgname', 'part', 'S'} - arrays.keys()
    if missing:
        raise ValueError(
            f'{path}: expected the arrays imgname, part and S, found '
            f'{sorted(arrays)}; {PREPARATION}'
        )
    imgnames = arrays['imgname']
    if imgnames.ndim != 1 or imgnames.dtype.kind != 'U':
        raise ValueError(
            f'{path}: expected imgname to be a list of texts, found {imgnames.dtype} '
            f'of shape {imgnames.shape}'
        )
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
        check_shape(path, name, arrays[name], shapes[name])
        check_finite(path, name, arrays[name], imgnames)
    if not arrays['S'][..., :3].any():
        raise ValueError(
            f'{path}: S holds no 3D joints, all are 0; training and evaluation need '
            f'them; {PREPARATION}'
        )
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
    array = read_npy(path, '2D detection file', PREPARATION)
    check_shape(path, 'detections', array, (len(imgnames), num_keypoints, 3))
    check_finite(path, 'a detection', array, imgnames)


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
    array = read_npy(path, 'factor file', PREPARATION)
    check_shape(path, 'factors', array, (len(imgnames),))
    check_finite(path, 'a factor', array, imgnames)
    if array.min() <= 0:
        raise ValueError(
            f'{path}: expected positive factors (mm per px), found {array.min()}'
        )


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
    cameras = read_pickle(path, 'camera file', PREPARATION)
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
        camera = require_keys(path, f'camera {key}', cameras[key], ())
        for name, size in {'w': 1, 'h': 1, 'f': 2, 'c': 2}.items():
            value = as_array(path, f'{name} of camera {key}', camera.get(name, ()))
            valid = value.size == size and value.dtype.kind in 'iuf'
            if not valid or not (np.isfinite(value) & (value > 0)).all():
                raise ValueError(
                    f'{path}: camera {key} needs {size} positive '
                    f'number{"s" * (size > 1)} {name} in pixels, found {value.tolist()}'
                )
