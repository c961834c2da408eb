"""HO-3D, versions 2 and 3, and H2O-3D in their official trees."""

from collections.abc import Iterator, Mapping
from os import path as osp
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.utils import ProgressBar

from mmssm.datasets.hand_annotations import HandAnnotations, cameras, project
from mmssm.datasets.mano_poses import mesh_columns
from mmssm.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mmssm.structures import hand
from mmssm.utils.annotation_files import (
    check_finite,
    check_inside,
    check_shape,
    read_json,
    read_pickle,
    require,
    require_keys,
)

PREPARATION = 'docs/datasets/ho3d.md says where the files come from'

VERSIONS = ('v2', 'v3', 'h2o3d')
SPLITS = ('train', 'evaluation')

COUNTS = {
    ('v2', 'train'): 66034,
    ('v2', 'evaluation'): 11524,
    ('v3', 'train'): 83325,
    ('v3', 'evaluation'): 20137,
    ('h2o3d', 'train'): 60998,
    ('h2o3d', 'evaluation'): 15342,
}
"""Images of the released lists."""

EXTENSIONS = {'v2': ('png',), 'v3': ('jpg',), 'h2o3d': ('png', 'jpg')}
"""How images end; the first that is there."""

SIZE = (640, 480)
"""Width and height of the images, pixels."""

OPENGL = np.array([1.0, -1.0, -1.0])
"""OpenGL's camera axes (y up, z backward) in OpenCV's, and the other way round."""

_PREFIXES = {
    'v2': {'right': 'hand'},
    'v3': {'right': 'hand'},
    'h2o3d': {'right': 'rightHand', 'left': 'leftHand'},
}


def read_list(root: str, split: str) -> list[str]:
    """Reads ``<split>.txt``.

    Args:
        root: Folder of the lists.
        split: ``'train'`` or ``'evaluation'``.

    Returns:
        Names ``<sequence>/<frame>``, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such list.
    """
    path = osp.join(root, f'{split}.txt')
    require(path, 'list of images', PREPARATION)
    try:
        with open(path, encoding='utf-8') as file:
            names = file.read().split()
    except UnicodeError as error:
        raise ValueError(f'{path} is no text: {error}') from error
    for number, name in enumerate(names, start=1):
        check_inside(path, f'entry {number}', name)
        if name.count('/') != 1:
            raise ValueError(
                f"{path}: expected entry {number} like 'SM1/0000', found '{name}'"
            )
    if not names:
        raise ValueError(f'{path} names no images')
    return names


class Hand(NamedTuple):
    """One hand of a frame, as the file has it.

    Attributes:
        frame: Number of its line in the list.
        right: Whether it is a right hand.
        joints: ``(21, 3)`` metres, OpenGL's camera, MANO's order; NaN where not
            known.
        pose: ``(48,)`` axis-angle, the mean pose included; NaN where not known.
        betas: ``(10,)`` likewise.
        bbox: ``(4,)`` left, top, right, bottom, pixels; NaN where not given.
        camera: ``(3, 3)``.
    """

    frame: int
    right: bool
    joints: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    bbox: np.ndarray
    camera: np.ndarray


def read_hands(
    root: str, version: str, split: str, with_vertices: bool = False
) -> HandAnnotations:
    """Reads the hands of a split, frame by frame, with a progress bar.

    Args:
        root: Folder of ``<split>.txt``.
        version: ``'v2'``, ``'v3'`` or ``'h2o3d'``.
        split: ``'train'`` or ``'evaluation'``.
        with_vertices: Read ``evaluation_verts.json`` too: ``vertices (N, V, 3)``.

    Returns:
        The hands, in OpenCV's camera frame and the order ``'op21'``. ``img_id`` is
        the place in the list, as in a result file. Of evaluation images the wrist
        alone is known unless ``evaluation_xyz.json`` is there.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should, or no hand is annotated.
    """
    names = read_list(root, split)
    hands = list(_all_hands(root, version, split, names))
    if not hands:
        raise ValueError(f'{root} holds no annotated hand of {split}; {PREPARATION}')
    frames = np.array([one.frame for one in hands])
    joints = np.stack([one.joints for one in hands])
    extra: dict[str, np.ndarray] = {}
    if split == 'evaluation':
        if osp.isfile(_public_file(root, 'xyz')):
            joints = _read_public(root, 'xyz', (len(names), 21, 3))[frames]
        if with_vertices:
            vertices = _read_public(root, 'verts', (len(names), None, 3))
            extra['vertices'] = (vertices[frames] * OPENGL).astype(np.float32)
    joints = hand.reorder(joints * OPENGL, 'mano')
    known = np.isfinite(joints).all(-1)
    focal, principal = cameras(
        osp.join(root, split), 'camMat', np.stack([one.camera for one in hands])
    )
    pixels = project(np.where(known[..., None], joints, 1), focal, principal)
    pose = np.stack([one.pose for one in hands])
    extra['keypoints_cam_weights'] = known.astype(np.float32)
    extra |= mesh_columns(
        _to_opencv(pose), np.stack([one.betas for one in hands]), len(hands)
    )
    folder = osp.join(root, split)
    return HandAnnotations(
        source=osp.join(root, f'{split}.txt'),
        image=_images(folder, [names[frame] for frame in frames], version),
        row=np.arange(len(hands)),
        img_id=frames,
        keypoints=np.where(known[..., None], pixels, 0).astype(np.float32),
        visible=known.astype(np.float32),
        joints=np.where(known[..., None], joints, 0).astype(np.float32),
        focal=focal,
        principal=principal,
        right=np.array([one.right for one in hands]),
        size=np.tile(SIZE, (len(hands), 1)),
        bbox=_boxes(pixels, np.stack([one.bbox for one in hands])),
        extra=extra,
        total=len(names),
    )


def _images(folder: str, names: list[str], version: str) -> list[str]:
    def path(name: str, extension: str) -> str:
        sequence, frame = name.split('/')
        return osp.join(folder, sequence, 'rgb', f'{frame}.{extension}')

    endings = EXTENSIONS[version]
    there = [one for one in endings if osp.isfile(path(names[0], one))]
    return [path(name, (there or endings)[0]) for name in names]


def _all_hands(root: str, version: str, split: str, names: list[str]) -> Iterator[Hand]:
    progress = ProgressBar(len(names))
    for number, name in enumerate(names):
        sequence, frame = name.split('/')
        path = osp.join(root, split, sequence, 'meta', f'{frame}.pkl')
        meta = read_pickle(path, 'annotation file', PREPARATION)
        require_keys(path, 'the file', meta, ('camMat',))
        for side, prefix in _PREFIXES[version].items():
            found = _hand(path, meta, prefix, split)
            if found is not None:
                camera = check_shape(path, 'camMat', meta['camMat'], (3, 3))
                yield Hand(number, side == 'right', *found, camera.astype(np.float64))
        progress.update()


def _hand(
    path: str, meta: Mapping, prefix: str, split: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Joints, pose, shape and box of a hand; None where it is not annotated."""
    joints, pose = np.full((21, 3), np.nan), np.full(48, np.nan)
    betas, bbox = np.full(10, np.nan), np.full(4, np.nan)
    key = f'{prefix}Joints3D'
    require_keys(path, 'the file', meta, (key,))
    if meta[key] is None:
        return None
    if split == 'evaluation':
        joints[0] = _numbers(path, meta, key, (3,))
        bbox[:] = _numbers(path, meta, f'{prefix}BoundingBox', (4,))
        return joints, pose, betas, bbox
    joints[:] = _numbers(path, meta, key, (21, 3))
    parameters = {f'{prefix}Pose': pose}
    if not prefix.startswith('left'):
        # the shape is one of MANO's left model, which no right hand mirrors
        parameters['handBeta'] = betas
    for name, values in parameters.items():
        # an annotation without pose or shape still has its joints
        if meta.get(name) is not None:
            values[:] = _numbers(path, meta, name, values.shape)
    return joints, pose, betas, bbox


def _numbers(path: str, meta: Mapping, key: str, shape: tuple[int, ...]) -> Any:
    require_keys(path, 'the file', meta, (key,))
    values = check_shape(path, key, meta[key], shape).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f'{path}: {key} is NaN or infinite')
    return values


def _boxes(pixels: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The boxes given, or those of all joints."""
    around = np.concatenate([pixels.min(1), pixels.max(1)], 1)
    return np.where(np.isnan(given), around, given).astype(np.float32)


def _to_opencv(pose: np.ndarray) -> np.ndarray:
    """Turns wrists from OpenGL's camera frame into OpenCV's."""
    known = ~np.isnan(pose).any(1)
    wrist = axis_angle_to_matrix(torch.from_numpy(pose[known, :3]))
    turned = torch.from_numpy(OPENGL)[:, None] * wrist
    pose = pose.copy()
    pose[known, :3] = matrix_to_axis_angle(turned).numpy()
    return pose


def _public_file(root: str, name: str) -> str:
    return osp.join(root, f'evaluation_{name}.json')


def _read_public(root: str, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The evaluation's annotations, which were secret until November 2024."""
    path = _public_file(root, name)
    data = read_json(path, 'annotation file', PREPARATION)
    array = check_shape(path, name, data, shape).astype(np.float64)
    check_finite(path, name, array)
    return array
