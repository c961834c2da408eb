"""Pinhole cameras as Human3.6M and MMPose describe them.

``R (3, 3)`` turns camera axes into world axes (its columns are the camera's
axes: right, down, forward) and ``T (3, 1)`` is the camera's centre in the
world, so ``X_cam = R^T (X_world - T)``. Points are metres; pixels have their
origin at the top left. This is the convention of MMPose's ``SimpleCamera``
when it is built from ``R`` and ``T``; its methods take one camera object, the
functions here broadcast over leading axes and need no object.

The functions of tensors at the end are those of hand meshes: a network predicts a
weak-perspective camera ``(s, tx, ty)`` of a square crop, in which a point (X, Y) of
the hand's frame, metres, lies at ``(s / 2) (X + tx, Y + ty)``, in units of the
crop's side and from its centre.
"""

import math

import numpy as np
import torch
from torch import Tensor

CROP_FOCAL = 5000.0
"""Focal length that HaMeR and Hamba assume for a crop of ``CROP_SIZE``, pixels."""

CROP_SIZE = 256
"""Width and height of that crop, pixels."""

_NO_DIVISION_BY_ZERO = 1e-9
"""As in HaMeR; s is about 5 for a hand that fills half of the crop."""


def world_to_camera(points: np.ndarray, R: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Moves points from the world into the camera's frame.

    Args:
        points: ``(..., 3)`` world points, metres.
        R: ``(3, 3)`` camera-to-world rotation.
        T: ``(3,)`` or ``(3, 1)`` camera centre in the world, metres.

    Returns:
        ``(..., 3)`` points in the camera's frame, metres.
    """
    return (points - np.reshape(T, 3)) @ R


def camera_to_world(points: np.ndarray, R: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Moves points from the camera's frame into the world.

    Args:
        points: ``(..., 3)`` points in the camera's frame, metres.
        R: ``(3, 3)`` camera-to-world rotation.
        T: ``(3,)`` or ``(3, 1)`` camera centre in the world, metres.

    Returns:
        ``(..., 3)`` world points, metres.
    """
    return points @ np.swapaxes(R, -1, -2) + np.reshape(T, 3)


def project(points: np.ndarray, f: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Projects points of the camera's frame, without lens distortion.

    Args:
        points: ``(..., 3)`` points in the camera's frame, metres.
        f: ``(2,)`` or ``(2, 1)`` focal lengths, pixels.
        c: ``(2,)`` or ``(2, 1)`` principal point, pixels.

    Returns:
        ``(..., 2)`` pixels.

    Raises:
        ValueError: A point lies behind the camera.
    """
    depth = points[..., 2:]
    if depth.size and depth.min() <= 0:
        raise ValueError(
            'points to project must lie in front of the camera (z > 0), found '
            f'z = {depth.min():.3f} m'
        )
    return points[..., :2] / depth * np.reshape(f, 2) + np.reshape(c, 2)


def look_at(position: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Rotation of a camera that looks at a point, in a world whose z is up.

    Args:
        position: ``(3,)`` camera centre, metres.
        target: ``(3,)`` point that falls on the principal point, metres.
        roll: Turn about the viewing axis, radians.

    Returns:
        ``R (3, 3)``, camera to world.

    Raises:
        ValueError: The camera would look straight up or down, or stands at
            its target.
    """
    x, y, z = (np.asarray(target, float) - position).tolist()
    ground, distance = math.hypot(x, y), math.hypot(x, y, z)
    if ground < 1e-9 * max(distance, 1.0):
        raise ValueError(
            'a camera needs a horizontal distance from its target; position is '
            f'{np.asarray(position)}, target {np.asarray(target)}'
        )
    # forward x up and forward x right; np.cross is slow for single vectors
    forward = np.array([x, y, z]) / distance
    right = np.array([y, -x, 0.0]) / ground
    down = np.array([x * z, y * z, -(ground**2)]) / (ground * distance)
    cos, sin = math.cos(roll), math.sin(roll)
    return np.stack([cos * right + sin * down, cos * down - sin * right, forward], 1)


def weak_perspective_translation(
    cam: Tensor, focal: float = CROP_FOCAL, size: float = CROP_SIZE
) -> Tensor:
    """Where a hand is in front of a crop's perspective camera.

    Args:
        cam: ``(..., 3)``, weak-perspective camera (s, tx, ty).
        focal: Focal length of the crop's camera, pixels; its principal point is the
            centre of the crop.
        size: Side of the crop, pixels.

    Returns:
        ``(..., 3)``, (tx, ty, 2 focal / (size s)), metres: what has to be added to
        points of the hand's frame.
    """
    scale, shift = cam[..., :1], cam[..., 1:]
    depth = 2 * focal / (size * scale + _NO_DIVISION_BY_ZERO)
    return torch.cat([shift, depth], -1)


def project_to_crop(
    points: Tensor,
    translation: Tensor,
    focal: float = CROP_FOCAL,
    size: float = CROP_SIZE,
) -> Tensor:
    """Projects points of the hand's frame into the crop.

    Args:
        points: ``(..., P, 3)``, metres.
        translation: ``(..., 3)``, as :func:`weak_perspective_translation` gives it.
        focal: Focal length of the crop's camera, pixels.
        size: Side of the crop, pixels.

    Returns:
        ``(..., P, 2)`` in units of the crop's side, from its centre: a point within
        the crop lies in [-0.5, 0.5].
    """
    moved = points + translation[..., None, :]
    return moved[..., :2] / moved[..., 2:] * (focal / size)


def full_image_translation(
    cam: Tensor,
    center: Tensor,
    side: Tensor,
    focal: Tensor,
    principal_pt: Tensor,
) -> Tensor:
    """Where a hand is in front of the camera of the whole image.

    The centre of the hand's frame is put at the depth where an object is as large
    as the weak-perspective camera says, and aside so that it is seen at the same
    pixel. The hand is not turned: under perspective a hand far from the image's
    centre is seen from another side, of which the crop's camera knows nothing.

    Args:
        cam: ``(..., 3)``, weak-perspective camera (s, tx, ty) of the crop.
        center: ``(..., 2)``, centre of the crop, pixels of the image.
        side: ``(...)``, side of the crop, pixels of the image.
        focal: ``(..., 2)``, focal lengths, pixels of the image. Where the two
            differ, the depth comes from their geometric mean.
        principal_pt: ``(..., 2)``, pixels of the image.

    Returns:
        ``(..., 3)``, metres. With f = fx = fy and the principal point (W, H) / 2
        these are HaMeR's tx + 2 (cx - W / 2) / (b s), ty + 2 (cy - H / 2) / (b s)
        and 2 f / (b s).
    """
    pixels_per_metre = side[..., None] * cam[..., :1] / 2 + _NO_DIVISION_BY_ZERO
    depth = focal.prod(-1, keepdim=True).sqrt() / pixels_per_metre
    aside = center - principal_pt + pixels_per_metre * cam[..., 1:]
    return torch.cat([aside * depth / focal, depth], -1)
