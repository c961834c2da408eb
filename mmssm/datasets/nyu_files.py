"""NYU's hand poses in its official files."""

import warnings
from os import path as osp

import numpy as np
from scipy.io import loadmat

from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.structures.hand import NYU_EVALUATED
from mmssm.utils.annotation_files import (
    check_shape,
    damaged,
    require,
    require_keys,
)
from mmssm.utils.image_files import image_size

PREPARATION = 'docs/datasets/nyu.md says where the files come from'

COUNTS = {'train': 72757, 'test': 8252}
"""Frames of the released files."""

JOINTS = 36
"""Joints that the files hold."""

FIRST_SUBJECT = 2440
"""Test frames up to this one show another, larger hand than those after it."""

FOCAL = (588.03, 587.07)
PRINCIPAL = (320.0, 240.0)
"""The depth camera, pixels."""


def read_mat(
    path: str, shapes: dict[str, tuple[int | None, ...]]
) -> dict[str, np.ndarray]:
    """Reads arrays of numbers from a MATLAB file.

    Args:
        path: The file, version 5.
        shapes: Names of the arrays and the shapes expected; None for any size.

    Returns:
        The arrays.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, lacks an array, or has another shape.
    """
    require(path, 'annotation file', PREPARATION)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            data = loadmat(path, variable_names=list(shapes))
    except Exception as error:  # its reader fails in many ways at a spoiled file
        raise damaged(path, 'annotation file', error) from error
    require_keys(path, 'the file', data, shapes)
    return {
        key: check_shape(path, key, data[key], shape) for key, shape in shapes.items()
    }


def to_camera(uvd: np.ndarray, focal: np.ndarray, principal: np.ndarray) -> np.ndarray:
    """Brings pixels and depths into the camera's frame.

    Args:
        uvd: ``(..., 3)`` pixels and millimetres.
        focal: ``(2,)`` pixels.
        principal: ``(2,)`` pixels.

    Returns:
        ``(..., 3)`` metres: x right, y down, z forward.
    """
    depth = uvd[..., 2:] / 1000
    return np.concatenate([(uvd[..., :2] - principal) / focal * depth, depth], -1)


def read_joints(root: str, split: str, view: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Reads ``joint_data.mat``.

    Args:
        root: Folder of ``train`` and ``test``.
        split: ``'train'`` or ``'test'``.
        view: Which Kinect, from 1.

    Returns:
        ``uvd (N, 36, 3)``, pixels and millimetres, and ``xyz (N, 36, 3)`` metres
        in OpenCV's frame (in the file, y points up).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """
    path = osp.join(root, split, 'joint_data.mat')
    shape = (None, None, JOINTS, 3)
    data = read_mat(path, {'joint_uvd': shape, 'joint_xyz': shape})
    uvd, xyz = data['joint_uvd'], data['joint_xyz']
    check_shape(path, 'joint_xyz', xyz, uvd.shape)
    if view > len(uvd):
        raise ValueError(
            f'{path}: expected view {view} of the Kinects along the first axis of '
            f'joint_uvd, found an array of shape {uvd.shape}'
        )
    one = xyz[view - 1].astype(np.float64) * [1e-3, -1e-3, 1e-3]
    return uvd[view - 1].astype(np.float64), one


def read_hands(
    root: str,
    split: str,
    view: int,
    camera: tuple[tuple[float, float], tuple[float, float]],
    cube: tuple[float, float, float],
    second_cube: tuple[float, float, float] | None = None,
    center_file: str | None = None,
) -> HandAnnotations:
    """Reads NYU's annotations.

    Args:
        root: Folder of ``train`` and ``test``.
        split: ``'train'`` or ``'test'``.
        view: Which Kinect, from 1.
        camera: Focal lengths and principal point, pixels.
        cube: Width, height and depth about the centre, metres.
        second_cube: The same for the second test subject.
        center_file: ``.mat`` with ``centre_pixel (N, 1, 3)``, pixels and
            millimetres; without it the centre is the mean of the joints.

    Returns:
        The hands, with ``cube_center (N, 3)`` and ``cube_size (N, 3)``, metres.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should.
    """
    focal, principal = (np.array(values, np.float64) for values in camera)
    uvd, _ = read_joints(root, split, view)
    uvd = uvd[:, list(NYU_EVALUATED.values())]
    joints = to_camera(uvd, focal, principal)
    count = len(uvd)
    if center_file is None:
        center = joints.mean(1)
    else:
        shape = (count, 1, 3)
        pixels = read_mat(center_file, {'centre_pixel': shape})['centre_pixel'][:, 0]
        center = to_camera(pixels.astype(np.float64), focal, principal)
    number = np.arange(1, count + 1)
    size = np.tile(np.array(cube, np.float64), (count, 1))
    if second_cube is not None and split == 'test':
        size[number > FIRST_SUBJECT] = second_cube
    folder = osp.join(root, split)
    images = [osp.join(folder, f'depth_{view}_{n:07d}.png') for n in number]
    picture = image_size(images[0]) if images else None
    return HandAnnotations(
        source=osp.join(folder, 'joint_data.mat'),
        image=images,
        row=np.arange(count),
        img_id=number,
        keypoints=uvd[..., :2].astype(np.float32),
        visible=np.ones(uvd.shape[:2], np.float32),
        joints=joints.astype(np.float32),
        focal=np.tile(focal, (count, 1)),
        principal=np.tile(principal, (count, 1)),
        right=np.ones(count, bool),
        size=None if picture is None else np.tile(picture, (count, 1)),
        bbox=cube_boxes(center, size, focal, principal),
        extra={
            'cube_center': center.astype(np.float32),
            'cube_size': size.astype(np.float32),
        },
    )


def cube_boxes(
    center: np.ndarray, size: np.ndarray, focal: np.ndarray, principal: np.ndarray
) -> np.ndarray:
    """Boxes of cubes, seen at the depth of their centres.

    Args:
        center: ``(N, 3)`` metres, camera frame.
        size: ``(N, 3)`` metres.
        focal: ``(2,)`` pixels.
        principal: ``(2,)`` pixels.

    Returns:
        ``(N, 4)`` left, top, right and bottom, pixels; of no size where a centre
        has no depth.
    """
    depth = np.where(center[:, 2:] > 0, center[:, 2:], np.inf)
    middle = center[:, :2] / depth * focal + principal
    half = size[:, :2] / 2 / depth * focal
    return np.concatenate([middle - half, middle + half], -1).astype(np.float32)
