"""Errors of 3D poses, per frame.

All take predictions and ground truth ``(N, K, 3)`` in one unit (metres or
millimetres) and give errors in that unit, ``(N,)``, the mean over joints. The
root counts like any other joint, as in the official evaluation. ``mask (N, K)``
leaves joints out, of the mean and of any alignment; a frame without joints
has the error NaN.
"""

import numpy as np

from mmssm.geometry.procrustes import similarity_align


def _check(pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None) -> None:
    if pred.shape != gt.shape or pred.ndim != 3 or pred.shape[-1] != 3:
        raise ValueError(
            'pred and gt must have one shape (N, K, 3), got '
            f'{pred.shape} and {gt.shape}'
        )
    if mask is not None and mask.shape != pred.shape[:2]:
        raise ValueError(f'mask must have shape {pred.shape[:2]}, got {mask.shape}')


def _joint_mean(error: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        return error.mean(-1)
    count = mask.sum(-1)
    total = np.where(mask, error, 0).sum(-1)
    return np.divide(
        total, count, out=np.full(total.shape, np.nan, total.dtype), where=count > 0
    )


def mpjpe(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Mean per-joint position error (protocol 1).

    Args:
        pred: ``(N, K, 3)`` predictions.
        gt: ``(N, K, 3)`` ground truth.
        mask: ``(N, K)`` joints that count. Default: all.

    Returns:
        ``(N,)`` errors in the unit of the input.

    Raises:
        ValueError: Shapes do not fit.
    """
    _check(pred, gt, mask)
    return _joint_mean(np.linalg.norm(pred - gt, axis=-1), mask)


def p_mpjpe(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """MPJPE after the best similarity transform of each frame (protocol 2).

    Rotation, translation and scale, no reflection. Arguments, result and
    errors as of :func:`mpjpe`.
    """
    _check(pred, gt, mask)
    return mpjpe(similarity_align(pred, gt, mask), gt, mask)


def n_mpjpe(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """MPJPE after the best scale of each frame (protocol 3).

    The scale is taken about the origin, so poses are to be root-relative.
    Arguments, result and errors as of :func:`mpjpe`.
    """
    _check(pred, gt, mask)
    weight = 1.0 if mask is None else mask[..., None]
    norm = (weight * pred * pred).sum((-2, -1))
    dot = (weight * pred * gt).sum((-2, -1))
    scale = np.divide(dot, norm, out=np.zeros_like(dot), where=norm > 0)
    return mpjpe(scale[:, None, None] * pred, gt, mask)


AUC_THRESHOLDS = np.arange(0, 151, 5) / 1000
"""0, 5, ... 150 mm in metres: the 31 of the official evaluation of MPI-INF-3DHP."""


def pck(
    pred: np.ndarray,
    gt: np.ndarray,
    mask: np.ndarray | None = None,
    threshold: float = 0.15,
) -> np.ndarray:
    """Part of the joints that lie nearer to the truth than a threshold (3DPCK).

    Args:
        pred: ``(N, K, 3)`` predictions.
        gt: ``(N, K, 3)`` ground truth.
        mask: ``(N, K)`` joints that count. Default: all.
        threshold: In the unit of the input; a joint at this very distance does
            not count. Default: 150 mm in metres.

    Returns:
        ``(N,)`` from 0 to 1.

    Raises:
        ValueError: Shapes do not fit.
    """
    _check(pred, gt, mask)
    near = np.linalg.norm(pred - gt, axis=-1) < threshold
    return _joint_mean(near.astype(np.float64), mask)


def auc(
    pred: np.ndarray,
    gt: np.ndarray,
    mask: np.ndarray | None = None,
    thresholds: np.ndarray = AUC_THRESHOLDS,
) -> np.ndarray:
    """Mean of 3DPCK over thresholds, which is no integral by the trapezoid rule.

    Args:
        pred: ``(N, K, 3)`` predictions.
        gt: ``(N, K, 3)`` ground truth.
        mask: ``(N, K)`` joints that count. Default: all.
        thresholds: ``(H,)`` increasing, in the unit of the input. Default: the
            official ones, in metres.

    Returns:
        ``(N,)`` from 0 to 1.

    Raises:
        ValueError: Shapes do not fit.
    """
    _check(pred, gt, mask)
    error = np.linalg.norm(pred - gt, axis=-1)
    # the thresholds above a joint's error are those that it passes
    passed = len(thresholds) - np.searchsorted(thresholds, error, side='right')
    return _joint_mean(passed / len(thresholds), mask)


def _difference_error(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None, order: int
) -> np.ndarray:
    _check(pred, gt, mask)
    if mask is not None:
        count = len(mask) - order
        mask = np.logical_and.reduce([mask[i : i + count] for i in range(order + 1)])
    return mpjpe(np.diff(pred, order, axis=0), np.diff(gt, order, axis=0), mask)


def velocity_error(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Mean per-joint error of the step from frame to frame (MPJVE).

    Args:
        pred: ``(T, K, 3)`` predictions for successive frames of one clip.
        gt: ``(T, K, 3)`` ground truth.
        mask: ``(T, K)`` joints that count; a step counts if both ends do.

    Returns:
        ``(T - 1,)`` errors in the unit of the input per frame; empty for
        a single frame.

    Raises:
        ValueError: Shapes do not fit.
    """
    return _difference_error(pred, gt, mask, 1)


def acceleration_error(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Mean per-joint error of the second difference over frames.

    Arguments and errors as of :func:`velocity_error`; the result is
    ``(T - 2,)`` in the unit of the input per frame squared.
    """
    return _difference_error(pred, gt, mask, 2)
