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
    low, high = known.min(0), known.max(0)
    lowest = [
        np.where(np.isfinite(p[..., 1]), p[..., 1], -np.inf).max(-1) for p in points
    ]
    floor = np.concatenate(lowest) if lowest else np.empty(0)
    floor = floor[np.isfinite(floor)]
    # one frame that is wrong must not sink the ground
    ground = float(np.percentile(floor, 98)) if len(floor) else float(high[1])
    # room below for the ground's near edge and its numbers
    high[1] = max(high[1], ground) + 0.15 * size
    centre, half = (low + high) / 2, (high - low) / 2
    half[[0, 2]] = np.maximum(half[[0, 2]], 0.42 * size)
    low, high = centre - half, centre + half
    # the ground under one who stands still is as wide as he is tall
    half = np.maximum(half, 0.5 * size)
    step = _grid_step(2 * float(max(half[0], half[2])))
    grid = [
        to_float_list(
            step
            * np.array(
                [
                    np.floor((centre - half)[a] / step),
                    np.ceil((centre + half)[a] / step),
                ]
            )
        )
        for a in (0, 2)
    ]
    return {
        'low': to_float_list(low),
        'high': to_float_list(high),
        'ground': round(ground, 4),
        'step': step,
        'grid': grid,
    }


def finite_points(points: NDArray) -> NDArray:
    """All points ``(N, 3)`` that are known, of any number of axes before."""
    points = points.reshape(-1, 3)
    return points[np.isfinite(points).all(-1)]


def _grid_step(extent: float) -> float:
    """1, 2 or 5 times a power of ten, so that three to six cells span the extent."""
    target = max(extent, 1e-6) / 3
    power = 10.0 ** np.floor(np.log10(target))
    return float(max(f * power for f in (1, 2, 5) if f * power <= target * (1 + 1e-9)))
