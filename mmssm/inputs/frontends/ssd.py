"""Detections of MediaPipe's single-shot detectors, out of their raw outputs.

Options are those of the graphs ``pose_detection_cpu`` and ``palm_detection_cpu``:
two anchors of fixed size in every cell of each layer, boxes and points relative to
the anchor in pixels of the input, scores before the sigmoid, and a suppression of
doubles that takes means of what overlaps (Bazarevsky et al., BlazeFace, 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.people import overlaps

_HIGHEST_LOGIT = 100.0
_OVERLAP = 0.3


@dataclass(frozen=True)
class Detections:
    """What a detector found, best first.

    Attributes:
        bboxes: ``(N, 4)`` as ``(x0, y0, x1, y1)``, in units of the square's side.
        points: ``(N, K, 2)`` the detector's own points, likewise.
        scores: ``(N,)`` in [0, 1].
    """

    bboxes: NDArray[np.float32]
    points: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


def make_anchors(size: int, strides: Sequence[int]) -> NDArray[np.float32]:
    """Centres of the anchors, two per layer in each cell.

    Args:
        size: Side of the network's input, pixels.
        strides: Pixels per cell of each layer; layers of one stride share cells.

    Returns:
        ``(A, 2)`` as (x, y), in units of the input's side.
    """
    centres = []
    for stride in dict.fromkeys(strides):
        cells = -(-size // stride)
        places = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        x, y = np.meshgrid(places, places)
        layer = np.stack([x, y], -1).reshape(-1, 2)
        centres.append(layer.repeat(2 * list(strides).count(stride), axis=0))
    return np.concatenate(centres)


def decode(
    raw_boxes: NDArray,
    logits: NDArray,
    anchors: NDArray,
    size: int,
    min_score: float,
) -> Detections:
    """Makes detections of a network's outputs; doubles are still among them.

    Args:
        raw_boxes: ``(A, 4 + 2 K)``: centre, width, height and points of each anchor.
        logits: ``(A,)`` scores before the sigmoid.
        anchors: ``(A, 2)`` of :func:`make_anchors`.
        size: Side of the network's input, pixels.
        min_score: Least score of a detection.

    Returns:
        Those of at least this score, best first.
    """
    capped = np.clip(logits.astype(np.float64), -_HIGHEST_LOGIT, _HIGHEST_LOGIT)
    scores = (1 / (1 + np.exp(-capped))).astype(np.float32)
    kept = np.flatnonzero(scores >= min_score)
    kept = kept[np.argsort(-scores[kept], kind='stable')]
    num_pairs = raw_boxes.shape[1] // 2
    values = raw_boxes[kept].reshape(len(kept), num_pairs, 2) / np.float32(size)
    half = values[:, 1] / 2
    values = values + anchors[kept][:, None]
    bboxes = np.concatenate([values[:, 0] - half, values[:, 0] + half], -1)
    return Detections(bboxes, values[:, 2:], scores[kept])


def merge_doubles(found: Detections, overlap: float = _OVERLAP) -> Detections:
    """Replaces every detection and its doubles by their mean, weighted by score.

    Args:
        found: Detections, best first.
        overlap: Intersection over union with the best above which another is its
            double.

    Returns:
        One detection each, with the best one's score.
    """
    left = np.arange(len(found))
    similar = overlaps(found.bboxes, found.bboxes) > overlap
    bboxes, points, scores = [], [], []
    while len(left):
        best = left[0]
        group = left[similar[best, left] | (left == best)]
        weights = found.scores[group] / found.scores[group].sum()
        bboxes.append(np.tensordot(weights, found.bboxes[group], 1))
        points.append(np.tensordot(weights, found.points[group], 1))
        scores.append(found.scores[best])
        left = np.setdiff1d(left, group)
    if not scores:
        return found
    return Detections(np.stack(bboxes), np.stack(points), np.array(scores))
