"""Size and place of a lifted person, which one picture does not show.

A lifter says how a person stands, up to a scale: a tall person far away and a short
one nearby look the same. What is known or assumed of the person gives the scale,
and scale and focal length together give the distance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BONES_PER_STATURE = 2.554
"""Sum of the lengths of the 16 bones of the Human3.6M skeleton over the height of the
body; of the actor of the embedded motion data."""

SMOOTHING = 13
"""Frames to either side over which the size of a skeleton is averaged: limbs that
point at the camera look short for a moment, people come nearer slowly."""


def stature_scale(
    keypoints_3d: NDArray,
    skeleton: Sequence[tuple[int, int]],
    stature: float,
    smoothing: int = SMOOTHING,
) -> NDArray:
    """The factor that makes skeletons those of a person of this height.

    Args:
        keypoints_3d: ``(..., T, J, 3)`` joints in any unit.
        skeleton: The 16 bones of :mod:`mmssm.structures.h36m`.
        stature: Height of the person, metres.
        smoothing: Frames to either side that count too, with weights that fall to
            zero. 0: each frame is on its own, and nothing of later ones is needed.

    Returns:
        ``(..., T)``. In each frame the sum of all bones, averaged (geometrically)
        over its neighbours, becomes that of the person. 1 where all bones have no
        length.
    """
    parents, joints = np.asarray(skeleton).T
    bones = keypoints_3d[..., joints, :] - keypoints_3d[..., parents, :]
    total = np.linalg.norm(bones, axis=-1).sum(-1)
    wanted = np.log(BONES_PER_STATURE * stature)
    needed = np.where(total > 0, wanted - np.log(np.where(total > 0, total, 1)), 0)
    lags = np.arange(-smoothing, smoothing + 1)
    weights = 0.5 + 0.5 * np.cos(np.pi * lags / (smoothing + 1))
    beyond = [(0, 0)] * (needed.ndim - 1) + [(smoothing, smoothing)]

    def weighted(values: NDArray) -> NDArray:
        around = sliding_window_view(np.pad(values, beyond), len(lags), axis=-1)
        return around @ weights

    return np.exp(weighted(needed) / weighted(np.ones_like(needed)))


def place_roots(
    keypoints_3d: NDArray,
    keypoints: NDArray,
    scores: NDArray,
    focal_length: float,
    principal_point: Sequence[float],
) -> NDArray:
    """Places skeletons before the camera so that they fit what it saw.

    Weak perspective: all joints are taken to be as far away as their mean. With joints
    ``X`` (metres, axes of the camera), pixels ``p``, weights ``w`` and means over
    them, the scale ``s`` (pixels per metre) that fits best in the sense of least
    squares is ::

        s = sum w (p - mean p) . (X - mean X)_xy / sum w |(X - mean X)_xy|^2

    and then ``z = f / s - mean X_z``, ``xy = (mean p - c) / s - mean X_xy``.

    Args:
        keypoints_3d: ``(T, J, 3)`` metres, relative to the root.
        keypoints: ``(T, J, 2)`` pixels.
        scores: ``(T, J)`` weights; 0 for what must not count.
        focal_length: Pixels.
        principal_point: ``(x, y)`` pixels.

    Returns:
        ``(T, 3)`` metres, camera frame: the root. NaN in frames that have fewer than
        two joints of weight, or in which nothing in front of the camera fits.
    """
    weights = np.where(np.isfinite(keypoints).all(-1), scores, 0)[..., None]
    pixels = np.where(weights > 0, keypoints, 0).astype(np.float64)
    joints = keypoints_3d.astype(np.float64)
    total = weights.sum(1, keepdims=True)
    with np.errstate(divide='ignore', invalid='ignore'):
        center_2d = (weights * pixels).sum(1, keepdims=True) / total
        center_3d = (weights * joints).sum(1, keepdims=True) / total
        flat = (joints - center_3d)[..., :2]
        scale = (weights * (pixels - center_2d) * flat).sum((1, 2)) / (
            weights * flat**2
        ).sum((1, 2))
        offset = center_2d[:, 0] - np.asarray(principal_point, float)
        ahead = np.concatenate(
            [offset / scale[:, None], focal_length / scale[:, None]], axis=1
        )
    roots = ahead - center_3d[:, 0]
    fits = (weights[..., 0] > 0).sum(1) >= 2
    fits &= np.isfinite(roots).all(1) & (np.nan_to_num(scale) > 0)
    roots[~fits] = np.nan
    return roots
