"""Hands before cameras, and small images: what the fixtures of hand sets share."""

import numpy as np
from PIL import Image

from mmssm.structures import hand


def right_hand(bend=0.4):
    """Palm to the camera, fingers up, thumb to the right; millimetres, 'op21'."""
    joints = np.zeros((21, 3))
    for finger, x in enumerate((60, 30, 10, -10, -30)):
        for joint in range(4):
            up = (40 if finger == 0 else 85) + 25 * joint
            joints[1 + 4 * finger + joint] = x, -up, -bend * 10 * joint**2
    return joints


def turn(angle):
    """Rotation about the viewing axis, radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def pose(rng, side='right', depth=600.0):
    """``(21, 3)`` millimetres in a camera's frame, near its axis."""
    joints = right_hand(rng.uniform(0.2, 0.8)) * rng.uniform(0.9, 1.1)
    if side == 'left':
        joints = joints * [-1, 1, 1]
    place = [*rng.uniform(-40, 40, 2), depth + rng.uniform(-100, 100)]
    return joints @ turn(rng.uniform(-3, 3)).T + place


def project(joints, K):
    """``(..., 2)`` pixels of points in front of the camera ``K (3, 3)``."""
    points = joints @ np.asarray(K).T
    return points[..., :2] / points[..., 2:]


def camera(width, height, focal=None):
    """A pinhole camera; focal lengths and principal point differ per axis."""
    focal = focal or 1.1 * width
    return np.array(
        [[focal, 0, width / 2 - 3.5], [0, focal * 1.01, height / 2 + 1.5], [0, 0, 1]]
    )


def as_order(joints, order):
    """One hand in the order of a data set."""
    return hand.reorder(joints, 'op21', order)


def save_image(path, width, height, seed=0):
    """A small file of a large picture: noise in one corner, blue left of it."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 2] = 200
    picture[:8, -8:] = rng.integers(0, 255, (min(8, height), min(8, width), 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
