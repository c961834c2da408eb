"""What a turning view has to show."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .packing import to_float_list


def scene_limits(points: list[NDArray], size: float) -> dict[str, Any]:
    """What the turning view has to show, and where its ground is.

    Args:
        points: ``(T, J, 3)`` of each person or hand, metres, camera axes; NaN where
            nothing is known.
        size: Of one of them, metres: the scene where there are no points.

    Returns:
        Lowest and highest corner of what is to be in sight, height of the ground (y,
        downwards), and ends along x and z and step of the grid on it, metres.
    """
    known = finite_points(
        np.concatenate([p.reshape(-1, 3) for p in points] or [np.empty((0, 3))])
    )
    if not len(known):
        known = np.array([[-size / 2] * 3, [size / 2] * 3])
    low, high = box_around(known, size)
    ground = _ground(points, float(high[1]))
    # room below for the ground's near edge and its numbers
    high[1] = max(high[1], ground) + 0.15 * size
    centre, half = (low + high) / 2, (high - low) / 2
    half[[0, 2]] = np.maximum(half[[0, 2]], 0.42 * size)
    # the ground under one who stands still is as wide as he is tall
    wide = np.maximum(half, 0.5 * size)
    step = _grid_step(2 * float(max(wide[0], wide[2])))
    first = step * np.floor((centre - wide) / step)
    last = step * np.ceil((centre + wide) / step)
    return {
        'low': to_float_list(centre - half),
        'high': to_float_list(centre + half),
        'ground': round(ground, 4),
        'step': step,
        'grid': [to_float_list((first[axis], last[axis])) for axis in (0, 2)],
    }


def box_around(points: NDArray, size: float) -> tuple[NDArray, NDArray]:
    """Lowest and highest corner; points far from nearly all others lie outside.

    One frame that is wrong must not make everybody small.

    Args:
        points: ``(N, 3)``, all known.
        size: Of a body or a hand, in the same unit.
    """
    low, high = np.percentile(points, [5, 95], axis=0)
    room = high - low + size / 2
    return (
        np.maximum(points.min(0), low - room),
        np.minimum(points.max(0), high + room),
    )


def finite_points(points: NDArray) -> NDArray:
    """All points ``(N, 3)`` that are known, of any number of axes before."""
    points = points.reshape(-1, 3)
    return points[np.isfinite(points).all(-1)]


def _ground(points: list[NDArray], otherwise: float) -> float:
    """Height of the lowest joints, y; one frame that is wrong must not sink it."""
    lowest = [
        np.where(np.isfinite(p[..., 1]), p[..., 1], -np.inf).max(-1) for p in points
    ]
    floor = np.concatenate(lowest) if lowest else np.empty(0)
    floor = floor[np.isfinite(floor)]
    return float(np.percentile(floor, 98)) if len(floor) else otherwise


def _grid_step(extent: float) -> float:
    """1, 2 or 5 times a power of ten, so that three to six cells span the extent."""
    target = max(extent, 1e-6) / 3
    power = 10.0 ** np.floor(np.log10(target))
    return float(max(f * power for f in (1, 2, 5) if f * power <= target * (1 + 1e-9)))
