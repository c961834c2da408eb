"""MotionBERT's pickle of Human3.6M with Stacked-Hourglass detections."""

from typing import NamedTuple

import numpy as np

from mmssm.utils.annotation_files import (
    as_array,
    check_finite,
    check_shape,
    match,
    read_pickle,
    require_keys,
    texts,
)

PREPARATION = (
    'docs/datasets/human36m.md says where h36m_sh_conf_cam_source_final.pkl comes from'
)

IMAGE_SIZES = {
    '54138969': (1000, 1002),
    '60457274': (1000, 1002),
    '55011271': (1000, 1000),
    '58860488': (1000, 1000),
}
"""Width and height of each camera's images, pixels."""

FRAMES = {'train': 1_559_752, 'test': 566_920}
"""Frames of the released file."""

CLIPS = {'train': 17_748, 'test': 2_228}
"""Clips of 243 frames, every 81 for training, side by side for testing."""

EXAMPLE = 's_09_act_05_subact_02_ca_01'
SOURCE = r's_(\d+)_act_(\d+)_subact_(\d+)_ca_(\d+)'


class Split(NamedTuple):
    """One half of the file; F frames.

    Attributes:
        joint_2d: ``(F, 17, 2)`` detections, pixels.
        confidence: ``(F, 17)``; 1 where the file has none.
        joint3d_image: ``(F, 17, 3)`` pixels, depth relative to the root.
        camera_name: ``(F,)``.
        source: ``(F,)`` such as ``s_09_act_05_subact_02_ca_01``.
        action: ``(F,)`` such as ``Greet``.
        factor: ``(F,)`` millimetres per pixel at the root; None in training.
        joints_mm: ``(F, 17, 3)`` what the official evaluation compares with,
            millimetres; None in training.
    """

    joint_2d: np.ndarray
    confidence: np.ndarray
    joint3d_image: np.ndarray
    camera_name: np.ndarray
    source: np.ndarray
    action: np.ndarray
    factor: np.ndarray | None
    joints_mm: np.ndarray | None


def read_split(path: str, split: str, num_keypoints: int = 17) -> Split:
    """Reads one half of the file, without running anything it holds.

    Args:
        path: ``h36m_sh_conf_cam_source_final.pkl``.
        split: ``'train'`` or ``'test'``.
        num_keypoints: Joints expected.

    Returns:
        The arrays, float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, asks for code, lacks a key, its arrays differ
            in length, hold NaN, another number of joints, or a camera or video
            that Human3.6M does not have.
    """
    whole = require_keys(
        path,
        'the file',
        read_pickle(path, 'annotation file', PREPARATION),
        [split],
    )
    keys = ['joint_2d', 'joint3d_image', 'camera_name', 'source']
    if split == 'test':
        keys += ['action', 'joints_2.5d_image', '2.5d_factor']
    data = require_keys(path, split, whole[split], keys)
    frames = len(check_shape(path, f'{split}.joint_2d', data['joint_2d'], _POSES))
    if not frames:
        raise ValueError(f'{path}: {split}.joint_2d holds no frames; {PREPARATION}')

    def numbers(key: str, *shape: int | None) -> np.ndarray:
        name = f'{split}.{key}'
        array = as_array(path, name, data[key])
        if array.dtype == object:  # numbers of several types
            array = as_array(path, name, array.tolist())
        check_shape(path, name, array, (frames, *shape))
        check_finite(path, name, array)
        return array.astype(np.float32, copy=False)

    def labels(key: str) -> np.ndarray:
        return texts(path, f'{split}.{key}', data[key], frames)

    source = labels('source')
    camera_name = labels('camera_name')
    _check_cameras(path, split, camera_name, source)
    factor = joints_mm = None
    if split == 'test':
        factor = numbers('2.5d_factor')
        if factor.min() <= 0:
            raise ValueError(
                f'{path}: expected positive numbers (mm per px) as '
                f'{split}.2.5d_factor, found {factor.min()}'
            )
        joints_mm = numbers('joints_2.5d_image', num_keypoints, 3)
    confidence = np.ones((frames, num_keypoints), np.float32)
    if 'confidence' in data:
        # (F, 17, 1) or (F, 17)
        dims = as_array(path, f'{split}.confidence', data['confidence']).ndim
        confidence = numbers('confidence', num_keypoints, *([1] * (dims - 2)))
    return Split(
        joint_2d=numbers('joint_2d', num_keypoints, None)[..., :2],
        confidence=confidence.reshape(frames, num_keypoints),
        joint3d_image=numbers('joint3d_image', num_keypoints, 3),
        camera_name=camera_name,
        source=source,
        action=labels('action') if 'action' in data else _no_action(source),
        factor=factor,
        joints_mm=joints_mm,
    )


_POSES = (None, None, None)


def _no_action(source: np.ndarray) -> np.ndarray:
    names, inverse = np.unique(source, return_inverse=True)
    return np.array(['Act' + name.split('_')[3] for name in names])[inverse]


def _check_cameras(
    path: str, split: str, camera_name: np.ndarray, source: np.ndarray
) -> None:
    unknown = sorted(set(camera_name.tolist()) - IMAGE_SIZES.keys())
    if unknown:
        raise ValueError(
            f'{path}: expected {split}.camera_name out of {sorted(IMAGE_SIZES)}, '
            f'found {unknown[:4]}'
        )
    cameras: dict[str, str] = {}
    changes = np.append(
        True, (source[1:] != source[:-1]) | (camera_name[1:] != camera_name[:-1])
    )
    for index in np.flatnonzero(changes):
        camera, video = str(camera_name[index]), str(source[index])
        match(path, f'{split}.source', SOURCE, video, EXAMPLE)
        if cameras.setdefault(video, camera) != camera:
            raise ValueError(
                f'{path}: {split}.camera_name changes within the video {video}: '
                f'{cameras[video]}, then {camera} in frame {index}'
            )


def video_name(path: str, source: str, action: str, camera: str) -> str:
    """The name of a video as MMPose's files spell it.

    Human3.6M names the second take of an action without a number and the first
    one with ``_1``, which is also how the official list of sequences to skip
    is written.

    Args:
        path: The file, for the message.
        source: Such as ``s_09_act_05_subact_02_ca_01``.
        action: Such as ``Greet``.
        camera: Such as ``55011271``.

    Returns:
        Such as ``S9_Greet.55011271``.

    Raises:
        ValueError: ``source`` is of another form.
    """
    subject, _, take, _ = map(
        int, match(path, 'a source', SOURCE, source, EXAMPLE).groups()
    )
    suffix = '' if take == 2 else f'_{take}'
    return f'S{subject}_{action}{suffix}.{camera}'
