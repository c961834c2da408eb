"""Pinhole cameras as Human3.6M and MMPose describe them.

``R (3, 3)`` turns camera axes into world axes (its columns are the camera's
axes: right, down, forward) and ``T (3, 1)`` is the camera's centre in the
world, so ``X_cam = R^T (X_world - T)``. Points are metres; pixels have their
origin at the top left. This is the convention of MMPose's ``SimpleCamera``
when it is built from ``R`` and ``T``; its methods take one camera object, the
functions here broadcast over leading axes and need no object.
"""

import math

import numpy as np


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
