"""Similarity alignment of many point sets at once."""

from collections.abc import Callable

import numpy as np

_BLOCK = 70_000
"""Points aligned at a time, so that their intermediate results stay in the cache."""


def in_blocks(
    align: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Aligns many point sets some at a time.

    Args:
        align: Aligns ``(M, K, 3)`` to ``(M, K, 3)`` by weights ``(M, K, 1)``, all
            float64.
        source: ``(N, K, 3)`` points to move.
        target: ``(N, K, 3)`` points to reach.
        weight: ``(N, K)``.

    Returns:
        ``(N, K, 3)`` moved points, float64.
    """
    aligned = np.empty(source.shape)
    count = max(1, _BLOCK // max(1, source.shape[1]))
    for start in range(0, len(source), count):
        block = slice(start, start + count)
        aligned[block] = align(
            source[block].astype(np.float64),
            target[block].astype(np.float64),
            weight[block, :, None].astype(np.float64),
        )
    return aligned


def finite_svd(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular values and vectors of matrices, some of which may hold NaN.

    LAPACK gives up on all of them because of one.

    Args:
        matrices: ``(N, 3, 3)``.

    Returns:
        ``u (N, 3, 3)``, ``s (N, 3)`` and ``vt (N, 3, 3)``; s is NaN where the matrix
        is not finite.
    """
    finite = np.isfinite(matrices).all((-2, -1))
    u, s, vt = np.linalg.svd(np.where(finite[:, None, None], matrices, 0))
    return u, np.where(finite[:, None], s, np.nan), vt


def similarity_align(
    source: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Moves, turns and scales point sets onto others in the least-squares sense.

    Solves ``min over s, R, t of sum_k w_k |s R x_k + t - y_k|^2`` with det R = 1
    for every set (Umeyama 1991; the alignment of P-MPJPE in the Human3.6M
    protocols). All sets go through one batched SVD, where MMPose's
    ``compute_similarity_transform`` takes one at a time.

    Args:
        source: ``(..., K, 3)`` points to move.
        target: ``(..., K, 3)`` points to reach, same shape and unit.
        weight: ``(..., K)`` weights, not negative; points of weight 0 do not
            take part, but are moved along. Default: all 1.

    Returns:
        ``(..., K, 3)`` moved points, float64. A source whose points coincide
        has no scale: it goes to the target's centre. NaN where a point of a set
        is not finite.

    Raises:
        ValueError: Shapes differ, or are not ``(..., K, 3)``.
    """
    if source.shape != target.shape or source.ndim < 2 or source.shape[-1] != 3:
        raise ValueError(
            'source and target must have one shape (..., K, 3), got '
            f'{source.shape} and {target.shape}'
        )
    shape = source.shape
    weight = np.ones(shape[:-1]) if weight is None else weight
    source, target = source.reshape(-1, *shape[-2:]), target.reshape(-1, *shape[-2:])
    weight = weight.reshape(source.shape[:-1])
    return in_blocks(_align, source, target, weight).reshape(shape)


def _align(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    total = np.maximum(weight.sum(-2, keepdims=True), np.finfo(np.float64).tiny)
    source_center = (weight * source).sum(-2, keepdims=True) / total
    target_center = (weight * target).sum(-2, keepdims=True) / total
    source = source - source_center
    target = target - target_center
    weighted = weight * source

    u, s, vt = finite_svd(np.swapaxes(weighted, -1, -2) @ target)
    # a reflection is undone along the direction that costs least
    sign = np.ones_like(s)
    sign[..., 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    turn = (u * sign[..., None, :]) @ vt
    variance = (weighted * source).sum((-2, -1))
    spread = (s * sign).sum(-1)
    scale = np.divide(spread, variance, out=np.zeros_like(spread), where=variance > 0)
    return scale[..., None, None] * (source @ turn) + target_center
