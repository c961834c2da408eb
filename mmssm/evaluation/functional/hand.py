"""Errors of 3D hand poses as the official evaluations define them.

Poses are ``(N, K, 3)`` in one unit (metres or millimetres), errors ``(N, K)`` in that
unit, and ``mask (N, K)`` says which joints are known. The evaluations of FreiHAND,
HO-3D, DexYCB, InterHand2.6M, RHD and AssemblyHands take the mean over the frames of
each joint, then over joints; NYU's takes it over everything at once. Without a
mask the two are one number.
"""

import numpy as np

from mmssm.geometry.procrustes import finite_svd, in_blocks, similarity_align
from mmssm.structures.hand import MIDDLE_BASE, WRIST

PCK_STEPS = 100
"""Thresholds of a PCK curve in the evaluations of FreiHAND, HO-3D and DexYCB."""


def _check(pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None) -> None:
    if pred.shape != gt.shape or pred.ndim != 3:
        raise ValueError(
            'pred and gt must have one shape (N, K, D), got '
            f'{pred.shape} and {gt.shape}'
        )
    if mask is not None and mask.shape != pred.shape[:2]:
        raise ValueError(f'mask must have shape {pred.shape[:2]}, got {mask.shape}')


def _check_errors(errors: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The mask of errors, all True by default."""
    if errors.ndim != 2:
        raise ValueError(f'errors must have shape (N, K), got {errors.shape}')
    mask = np.ones(errors.shape, bool) if mask is None else mask.astype(bool)
    if mask.shape != errors.shape:
        raise ValueError(f'mask must have shape {errors.shape}, got {mask.shape}')
    return mask


def joint_errors(pred: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """Distances of joints, as they are (absolute, in the camera's frame).

    Args:
        pred: ``(N, K, D)`` predictions.
        gt: ``(N, K, D)`` ground truth.

    Returns:
        ``(N, K)`` in the unit of the input.

    Raises:
        ValueError: Shapes differ.
    """
    _check(pred, gt, None)
    return np.linalg.norm(pred - gt, axis=-1)


def root_relative_errors(
    pred: np.ndarray, gt: np.ndarray, root_index: int
) -> np.ndarray:
    """Distances of joints after both poses were moved to have their root at 0.

    The root counts as a joint like any other, with error 0.

    Args:
        pred: ``(N, K, 3)`` predictions.
        gt: ``(N, K, 3)`` ground truth.
        root_index: The root.

    Returns:
        ``(N, K)`` in the unit of the input.

    Raises:
        ValueError: Shapes differ, or there is no such joint.
    """
    _check(pred, gt, None)
    if not 0 <= root_index < pred.shape[1]:
        raise ValueError(
            f'root_index must be one of {pred.shape[1]} joints, got {root_index}'
        )
    root = slice(root_index, root_index + 1)
    return joint_errors(pred - pred[:, root], gt - gt[:, root])


def official_align(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Aligns poses as ``align_w_scale`` of FreiHAND, HO-3D and DexYCB does.

    Both poses are centred and divided by their Frobenius norm (plus 1e-8); the
    orthogonal matrix and the scale that bring the prediction nearest to the truth
    are applied. The matrix **may be a reflection**, so a mirrored hand has no
    error. `proper_align` forbids that, as MMPose and HaMeR do.

    Args:
        pred: ``(N, K, 3)`` predictions.
        gt: ``(N, K, 3)`` ground truth.
        mask: ``(N, K)`` joints that take part; the others are moved along.

    Returns:
        ``(N, K, 3)`` moved predictions, float64; NaN for poses that are not finite.

    Raises:
        ValueError: Shapes do not fit.
    """
    _check(pred, gt, mask)
    weight = np.ones(pred.shape[:2]) if mask is None else mask
    return in_blocks(_align_officially, pred, gt, weight)


def _align_officially(
    pred: np.ndarray, gt: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    pred, _, _ = _centre(pred, weight)
    gt, centre, norm = _centre(gt, weight)
    u, scale, vt = finite_svd(np.swapaxes(weight * gt, -1, -2) @ (weight * pred))
    turn = u @ vt
    turned = pred @ np.swapaxes(turn, -1, -2) * scale.sum(-1)[:, None, None]
    return turned * norm + centre


def _centre(
    points: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = np.maximum(weight.sum(-2, keepdims=True), 1)
    centre = (weight * points).sum(-2, keepdims=True) / count
    points = points - centre
    norm = np.linalg.norm(weight * points, axis=(-2, -1), keepdims=True) + 1e-8
    return points / norm, centre, norm


def proper_align(
    pred: np.ndarray, gt: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Aligns poses by the best rotation, translation and scale, no reflection.

    Arguments, result and errors as of :func:`official_align`.
    """
    _check(pred, gt, mask)
    return similarity_align(pred, gt, mask)


def scale_translation_align(
    pred: np.ndarray, gt: np.ndarray, root: int = WRIST, joint: int = MIDDLE_BASE
) -> np.ndarray:
    """Aligns poses by one bone and the root, not turned: HO-3D's second row.

    The prediction is scaled until the distance of ``joint`` from ``root`` is the
    true one, then moved until the roots meet. HO-3D's evaluation takes joints 0 and
    4 of the order in which results are submitted, MANO's: the wrist and the base of
    the middle finger.

    Args:
        pred: ``(N, K, 3)`` predictions.
        gt: ``(N, K, 3)`` ground truth.
        root: The joint that is moved onto the true one.
        joint: The other end of the bone.

    Returns:
        ``(N, K, 3)`` moved predictions, float64; a bone without length is scaled as
        if it had length 1, as there.

    Raises:
        ValueError: Shapes differ, or there is no such joint.
    """
    _check(pred, gt, None)
    for index in (root, joint):
        if not 0 <= index < pred.shape[1]:
            raise ValueError(
                f'root and joint must be two of {pred.shape[1]} joints, got {index}'
            )
    pred, gt = pred.astype(np.float64), gt.astype(np.float64)
    length = np.linalg.norm(pred[:, joint] - pred[:, root], axis=-1)
    wanted = np.linalg.norm(gt[:, joint] - gt[:, root], axis=-1)
    scale = wanted / np.where(length == 0, 1, length)
    moved = scale[:, None, None] * (pred - pred[:, root, None])
    return moved + gt[:, root, None]


def mean_of_joints(errors: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean over the frames of each joint, then over the joints that have any.

    Args:
        errors: ``(N, K)``.
        mask: ``(N, K)`` errors that count. Default: all.

    Returns:
        The mean, NaN if nothing counts.

    Raises:
        ValueError: Shapes do not fit.
    """
    means = per_joint(errors, mask)
    means = means[np.isfinite(means)]
    return float(means.mean()) if len(means) else float('nan')


def per_joint(errors: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Mean error of each joint.

    Args:
        errors: ``(N, K)``.
        mask: ``(N, K)`` errors that count. Default: all.

    Returns:
        ``(K,)``, NaN for joints that no frame has.

    Raises:
        ValueError: Shapes do not fit.
    """
    mask = _check_errors(errors, mask)
    total = np.where(mask, errors, 0).astype(np.float64).sum(0)
    count = mask.sum(0)
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def pooled_mean(errors: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean over all joints of all frames at once: the mean error of NYU.

    Arguments, result and errors as of :func:`mean_of_joints`.
    """
    mask = _check_errors(errors, mask)
    return float(errors[mask].astype(np.float64).mean()) if mask.any() else float('nan')


def pck_curve(
    errors: np.ndarray, thresholds: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Part of the frames in which a joint is no farther off than a threshold.

    A joint at the very threshold counts (``<=``), unlike in the 3DPCK of bodies.

    Args:
        errors: ``(N, K)``.
        thresholds: ``(H,)`` increasing, in the unit of the errors.
        mask: ``(N, K)`` errors that count. Default: all.

    Returns:
        ``(K, H)`` from 0 to 1, NaN for joints that no frame has.

    Raises:
        ValueError: Shapes do not fit.
    """
    mask = _check_errors(errors, mask)
    curves = np.full((errors.shape[1], len(thresholds)), np.nan)
    for joint, (column, known) in enumerate(zip(errors.T, mask.T, strict=True)):
        if known.any():
            below = np.searchsorted(np.sort(column[known]), thresholds, side='right')
            curves[joint] = below / known.sum()
    return curves


def box_pck(
    errors: np.ndarray,
    sizes: np.ndarray,
    thresholds: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Part of the frames in which a joint is off by no more than a part of a box.

    HInt's PCK, before the mean over joints.

    Args:
        errors: ``(N, K)`` pixels.
        sizes: ``(N,)`` sizes of the boxes, pixels: for HInt the longer side of the
            annotated box, not extended.
        thresholds: ``(H,)`` parts of that size.
        mask: ``(N, K)`` errors that count. Default: all.

    Returns:
        ``(K, H)`` from 0 to 1, NaN for joints that no frame has. An error of NaN
        is beyond all thresholds.

    Raises:
        ValueError: Shapes do not fit, or a size is not positive.
    """
    mask = _check_errors(errors, mask)
    sizes = np.asarray(sizes, np.float64)
    if sizes.shape != (len(errors),):
        raise ValueError(f'sizes must have shape ({len(errors)},), got {sizes.shape}')
    if not (sizes > 0).all():
        first = int(np.flatnonzero(~(sizes > 0))[0])
        raise ValueError(
            f'sizes must be positive, that of box {first} is {sizes[first]}'
        )
    limits = sizes[:, None] * np.asarray(thresholds, np.float64)
    within = (errors[..., None] <= limits[:, None]) & mask[..., None]
    count = np.broadcast_to(mask.sum(0)[:, None], within.shape[1:])
    unknown = np.full(count.shape, np.nan)
    return np.divide(within.sum(0), count, out=unknown, where=count > 0)


def auc_thresholds(low: float, high: float, steps: int = PCK_STEPS) -> np.ndarray:
    """Equally spaced thresholds, both ends among them.

    Args:
        low: The first one.
        high: The last one.
        steps: How many.

    Returns:
        ``(steps,)``.

    Raises:
        ValueError: Not ``0 <= low < high``, or fewer than two steps.
    """
    if not 0 <= low < high or steps < 2:
        raise ValueError(
            'a curve needs 0 <= low < high and at least two steps, got '
            f'{low} to {high} in {steps}'
        )
    return np.linspace(low, high, steps)


def pck_auc(
    errors: np.ndarray,
    low: float,
    high: float,
    mask: np.ndarray | None = None,
    steps: int = PCK_STEPS,
) -> float:
    """Area under the PCK curve by the trapezoid rule, over its range.

    Of each joint, then the mean over joints. FreiHAND, HO-3D and DexYCB use 0 to
    50 mm in 100 steps; many papers use 20 to 50 mm, which gives much higher
    values: name the range.

    Args:
        errors: ``(N, K)``.
        low: First threshold, in the unit of the errors.
        high: Last threshold.
        mask: ``(N, K)`` errors that count. Default: all.
        steps: Number of thresholds.

    Returns:
        From 0 to 1; NaN if nothing counts.

    Raises:
        ValueError: Shapes or range do not fit.
    """
    thresholds = auc_thresholds(low, high, steps)
    curves = pck_curve(errors, thresholds, mask)
    areas = np.trapezoid(curves, thresholds, axis=-1) / (high - low)
    areas = areas[np.isfinite(areas)]
    return float(areas.mean()) if len(areas) else float('nan')


def frames_within(
    errors: np.ndarray, thresholds: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Part of the frames whose worst joint is no farther off than a threshold.

    NYU's second curve, over 0, 1, ... 84 mm.

    Args:
        errors: ``(N, K)``.
        thresholds: ``(H,)`` in the unit of the errors.
        mask: ``(N, K)`` errors that count; a frame without any is left out.

    Returns:
        ``(H,)`` from 0 to 1.

    Raises:
        ValueError: Shapes do not fit, or no frame has a joint.
    """
    mask = _check_errors(errors, mask)
    known = mask.any(-1)
    if not known.any():
        raise ValueError('no frame has a joint that counts')
    worst = np.where(mask, errors, -np.inf).max(-1)[known]
    return (worst[:, None] <= np.asarray(thresholds)).mean(0)
