"""F-scores of hand meshes as the evaluations of FreiHAND and HO-3D define them.

Distances of vertices, their alignments, means and curves are those of joints
(`hand.py`): a mesh is aligned by its own points.
"""

import numpy as np
from scipy.spatial import cKDTree


def nearest_distances(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distance of each point from the nearest one of other points.

    Args:
        source: ``(P, 3)`` points.
        target: ``(Q, 3)`` points, in the same unit.

    Returns:
        ``(P,)``, exact.
    """
    return cKDTree(target).query(source)[0]


def f_scores(pred: np.ndarray, gt: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """F-scores of meshes that were aligned, or not, before.

    Precision is the part of the true points with a predicted one nearer than the
    threshold, recall the part of the predicted points with a true one nearer; the
    F-score is 2 p r / (p + r), 0 where both are. (The names are those of
    FreiHAND's code; elsewhere they are the other way round, which changes nothing.)
    A point at the very threshold does not count (``<``).

    Meshes go one at a time: memory is that of one.

    Args:
        pred: ``(N, P, 3)`` predictions.
        gt: ``(N, Q, 3)`` ground truth.
        thresholds: ``(H,)`` in the unit of the meshes.

    Returns:
        ``(N, H)`` from 0 to 1; NaN for meshes that are not finite.

    Raises:
        ValueError: Shapes do not fit, or there is no mesh or no point.
    """
    if pred.ndim != 3 or gt.ndim != 3 or len(pred) != len(gt):
        raise ValueError(
            'pred and gt must have shapes (N, P, 3) and (N, Q, 3), got '
            f'{pred.shape} and {gt.shape}'
        )
    if pred.shape[-1] != 3 or gt.shape[-1] != 3:
        raise ValueError(f'points must be (x, y, z), got {pred.shape} and {gt.shape}')
    if 0 in pred.shape or 0 in gt.shape:
        raise ValueError(
            f'F-scores need meshes with points, got {pred.shape} and {gt.shape}'
        )
    thresholds = np.asarray(thresholds, np.float64)
    scores = np.full((len(pred), len(thresholds)), np.nan)
    for number, (mesh, truth) in enumerate(zip(pred, gt, strict=True)):
        if np.isfinite(mesh).all() and np.isfinite(truth).all():
            scores[number] = _f_score(mesh, truth, thresholds)
    return scores


def _f_score(mesh: np.ndarray, truth: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    from_truth, from_mesh = (
        nearest_distances(truth, mesh),
        nearest_distances(mesh, truth),
    )
    precision = (from_truth[:, None] < thresholds).mean(0)
    recall = (from_mesh[:, None] < thresholds).mean(0)
    total = precision + recall
    product = 2 * precision * recall
    return np.divide(product, total, out=np.zeros_like(total), where=total > 0)
