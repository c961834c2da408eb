"""AssemblyHands in the files of its version 1.1, images of the headset."""

from collections.abc import Mapping
from logging import WARNING
from os import path as osp
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmssm.datasets.hand_annotations import HandAnnotations, cameras, project
from mmssm.structures import hand
from mmssm.utils.annotation_files import (
    as_array,
    check_shape,
    read_json,
    require_keys,
    require_list,
    require_types,
)

PREPARATION = 'docs/datasets/assemblyhands.md says where the files come from'

SPLITS = ('train', 'val', 'test')

SIDES = hand.TWO_HANDS['interhand']

IMAGE_TYPES = {
    'id': int,
    'file_name': str,
    'width': int,
    'height': int,
    'seq_name': str,
    'camera': str,
    'frame_idx': int | str,
}
ANNOTATION_TYPES = {'image_id': int, 'joint_valid': list, 'bbox': dict}
KINDS = ('intrinsics', 'extrinsics')


class Files(NamedTuple):
    """Paths of a split's three files.

    Attributes:
        data: Images and boxes.
        calib: Cameras, for each frame.
        joints: Joints in the world; not public for ``test``.
    """

    data: str
    calib: str
    joints: str

    @classmethod
    def of(cls, root: str, split: str) -> 'Files':
        """The files of a split below ``annotations``."""
        stem = osp.join(root, 'annotations', split, f'assemblyhands_{split}')
        return cls(
            f'{stem}_ego_data_v1-1.json',
            f'{stem}_ego_calib_v1-1.json',
            f'{stem}_joint_3d_v1-1.json',
        )


class _Sets(NamedTuple):
    """What the three files hold, by file."""

    files: Files
    intrinsics: Mapping
    joints: Mapping
    suffix: str


class _Hand(NamedTuple):
    image: dict
    side: str
    box: np.ndarray
    camera: np.ndarray
    joints: np.ndarray
    visible: np.ndarray


def read_hands(
    root: str,
    split: str,
    min_valid: int = 10,
    camera_suffix: str = '_mono10bit',
) -> HandAnnotations:
    """Reads AssemblyHands' annotations of the headset's images.

    Args:
        root: Folder of ``annotations`` and ``images``.
        split: ``'train'``, ``'val'`` or ``'test'``.
        min_valid: Leave out hands with fewer valid joints.
        camera_suffix: What the calibration's camera names have behind those of the
            images.

    Returns:
        The hands: one for each box.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should, or no hand is left.
    """
    files = Files.of(root, split)
    data, calib, joints = (
        read_json(path, 'annotation file', PREPARATION) for path in files
    )
    require_keys(files.data, 'the file', data, ('images', 'annotations'))
    sets = _Sets(
        files,
        require_keys(files.calib, 'the file', calib, ('calibration',))['calibration'],
        require_keys(files.joints, 'the file', joints, ('annotations',))['annotations'],
        camera_suffix,
    )
    images = {}
    for number, image in enumerate(require_list(files.data, 'images', data['images'])):
        require_types(files.data, f'image {number}', image, IMAGE_TYPES)
        images[image['id']] = image
    found: list[_Hand] = []
    few = 0
    annotations = require_list(files.data, 'annotations', data['annotations'])
    for number, entry in enumerate(annotations):
        require_types(files.data, f'annotation {number}', entry, ANNOTATION_TYPES)
        if entry['image_id'] not in images:
            raise ValueError(
                f'{files.data}: annotation {number} is of image {entry["image_id"]}, '
                'which the file does not list'
            )
        for one in _hands(sets, number, entry, images[entry['image_id']]):
            if one.visible.sum() < min_valid:
                few += 1
            else:
                found.append(one)
    if few:
        print_log(
            f'{files.data}: {few:,} hands with fewer than {min_valid} valid joints are '
            'left out',
            'current',
            WARNING,
        )
    if not found:
        raise ValueError(f'{files.data} holds no hand that can be used')
    return _columns(root, files, found)


def _hands(sets: _Sets, number: int, entry: dict, image: dict) -> list[_Hand]:
    path = sets.files.data
    boxes = require_keys(path, f'bbox of annotation {number}', entry['bbox'], SIDES)
    there = [side for side in SIDES if boxes[side] is not None]
    if not there:
        return []
    name = f'joint_valid of annotation {number}'
    valid = as_array(path, name, entry['joint_valid'])
    check_shape(path, name, valid.reshape(-1) if valid.ndim else valid, (42,))
    camera, rotation, shift = _camera(sets, image)
    world = _world(sets, image)
    joints = (world @ rotation.T + shift) / 1000
    hands = []
    for side in there:
        box = check_shape(
            path, f'{side} bbox of annotation {number}', boxes[side], (4,)
        )
        hands.append(
            _Hand(
                image,
                side,
                box,
                camera,
                hand.half(joints, 'interhand', side),
                hand.half(valid.reshape(-1) > 0, 'interhand', side, axis=0),
            )
        )
    return hands


def _camera(sets: _Sets, image: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    path, sequence = sets.files.calib, image['seq_name']
    frame, name = _frame(image), f'{image["camera"]}{sets.suffix}'
    calibration = require_keys(path, 'calibration', sets.intrinsics, [sequence])
    one = require_keys(path, sequence, calibration[sequence], KINDS)
    inner = require_keys(path, f'intrinsics of {sequence}', one['intrinsics'], [name])
    outer = require_keys(path, f'extrinsics of {sequence}', one['extrinsics'], [frame])
    of = f'extrinsics of {sequence}, frame {frame}'
    outer = require_keys(path, of, outer[frame], [name])
    K = check_shape(path, f'intrinsics of {sequence}, {name}', inner[name], (3, 3))
    pose = check_shape(path, f'{of}, {name}', outer[name], (3, 4)).astype(np.float64)
    return K, pose[:, :3], pose[:, 3]


def _world(sets: _Sets, image: dict) -> np.ndarray:
    path, sequence, frame = sets.files.joints, image['seq_name'], _frame(image)
    frames = require_keys(path, 'annotations', sets.joints, [sequence])[sequence]
    pose = require_keys(path, sequence, frames, [frame])[frame]
    of = f'{sequence}, frame {frame}'
    pose = require_keys(path, of, pose, ['world_coord'])
    found = check_shape(path, f'world_coord of {of}', pose['world_coord'], (42, 3))
    return found.astype(np.float64)


def _frame(image: dict) -> str:
    number: Any = image['frame_idx']
    return f'{number:06d}' if isinstance(number, int) else str(number)


def _columns(root: str, files: Files, found: list[_Hand]) -> HandAnnotations:
    matrices = np.stack([one.camera for one in found])
    focal, principal = cameras(files.calib, 'intrinsics', matrices)
    joints = np.stack([one.joints for one in found])
    visible = np.stack([one.visible for one in found])
    keypoints = project(joints, focal, principal)
    # joints that are not annotated may be anywhere
    keypoints[~visible & ~np.isfinite(keypoints).all(-1)] = 0
    return HandAnnotations(
        source=files.data,
        image=[osp.join(root, 'images', one.image['file_name']) for one in found],
        row=np.arange(len(found)),
        img_id=np.array([one.image['id'] for one in found]),
        keypoints=keypoints.astype(np.float32),
        visible=visible.astype(np.float32),
        joints=joints.astype(np.float32),
        focal=focal,
        principal=principal,
        right=np.array([one.side == 'right' for one in found]),
        size=np.array([(one.image['width'], one.image['height']) for one in found]),
        bbox=np.stack([one.box for one in found]).astype(np.float32),
    )
