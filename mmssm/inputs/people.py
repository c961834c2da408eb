"""The people of one frame, and boxes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class People:
    """The 2D joints of the people of one image.

    Attributes:
        keypoints: ``(P, J, 2)`` float32, pixels; NaN is a joint that was not found.
        scores: ``(P, J)`` float32 in [0, 1].
        bboxes: ``(P, 4)`` float32, ``(x0, y0, x1, y1)`` in pixels.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    bboxes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keypoints)

    @classmethod
    def nobody(cls, num_joints: int) -> 'People':
        """No one, with so many joints each."""
        return cls(
            np.zeros((0, num_joints, 2), np.float32),
            np.zeros((0, num_joints), np.float32),
            np.zeros((0, 4), np.float32),
        )


def bboxes_around(keypoints: NDArray, scores: NDArray) -> NDArray[np.float32]:
    """Boxes around the joints that were found.

    Args:
        keypoints: ``(P, J, 2)`` pixels; NaN is a missing joint.
        scores: ``(P, J)``; 0 is a missing joint.

    Returns:
        ``(P, 4)`` as ``(x0, y0, x1, y1)``; zeros for a person without joints.
    """
    found = (scores > 0) & np.isfinite(keypoints).all(-1)
    low = np.where(found[..., None], keypoints, np.inf).min(1)
    high = np.where(found[..., None], keypoints, -np.inf).max(1)
    boxes = np.concatenate([low, high], -1)
    return np.where(found.any(1)[:, None], boxes, 0).astype(np.float32)


def overlaps(boxes: NDArray, others: NDArray) -> NDArray[np.float32]:
    """Intersection over union of boxes.

    Args:
        boxes: ``(N, 4)`` as ``(x0, y0, x1, y1)``.
        others: ``(M, 4)`` likewise.

    Returns:
        ``(N, M)`` in [0, 1].
    """
    boxes, others = np.asarray(boxes, np.float32), np.asarray(others, np.float32)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = (high - low).clip(0).prod(-1)
    areas = [(b[:, 2:] - b[:, :2]).clip(0).prod(-1) for b in (boxes, others)]
    union = areas[0][:, None] + areas[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
