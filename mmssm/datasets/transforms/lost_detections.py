"""Joints and frames that a detector does not find, filled in."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmssm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LostDetections(BaseTransform):
    """Loses 2D keypoints of a clip, and fills them in as one does with a video.

    A lifter needs all joints of all frames. What is lost lies on the line between
    where it was seen before and after; at the ends of the clip, where it was seen
    nearest. A joint that is lost in all frames lies in the middle of those of its
    frame that are not. Its confidence says that it is a guess.

    Draws come from NumPy's global generator; mmssm's datasets seed it for each
    sample, so a validation sample is the same in every epoch.

    Required keys: ``keypoints (T, K, 2)`` pixels, ``keypoints_visible (T, K)``.
    Modified keys: the same.

    Args:
        joint_rate: Probability that a joint is lost in a frame, for itself.
        frame_rate: Probability that a frame is lost with all its joints. The first is
            always kept.
        confidence: Confidence of what was filled in.

    Raises:
        ValueError: An argument out of its range.
    """

    def __init__(
        self,
        joint_rate: float = 0.0,
        frame_rate: float = 0.0,
        confidence: float = 0.3,
    ) -> None:
        for name, rate in (('joint_rate', joint_rate), ('frame_rate', frame_rate)):
            if not 0 <= rate < 1:
                raise ValueError(f'{name} must lie in [0, 1), got {rate}')
        if not 0 <= confidence <= 1:
            raise ValueError(f'confidence must lie in [0, 1], got {confidence}')
        self.joint_rate = joint_rate
        self.frame_rate = frame_rate
        self.confidence = confidence

    def transform(self, results: dict) -> dict:
        """Loses and fills in keypoints of one sample."""
        keypoints = results['keypoints'].copy()
        visible = results['keypoints_visible'].copy()
        frames, joints = keypoints.shape[:2]
        # Both are drawn in any case, so that one rate does not change what the other
        # loses.
        lost = np.random.random((frames, joints)) < self.joint_rate
        lost_frames = np.random.random(frames) < self.frame_rate
        lost_frames[0] = False
        lost |= lost_frames[:, None]
        visible[lost] = self.confidence
        results['keypoints'] = fill_in(keypoints, ~lost)
        results['keypoints_visible'] = visible
        return results


def fill_in(keypoints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Puts joints that were not seen between where they were.

    Args:
        keypoints: ``(T, K, D)``.
        seen: ``(T, K)`` bool.

    Returns:
        Keypoints of the same shape and dtype; those seen are unchanged. Without any
        seen joint in the clip all are.
    """
    filled = keypoints.copy()
    times = np.arange(len(keypoints))
    for joint in np.flatnonzero(seen.any(0)):
        there = seen[:, joint]
        for axis in range(keypoints.shape[2]):
            filled[~there, joint, axis] = np.interp(
                times[~there], times[there], keypoints[there, joint, axis]
            )
    nowhere = ~seen.any(0)
    if nowhere.any() and not nowhere.all():
        filled[:, nowhere] = filled[:, ~nowhere].mean(1, keepdims=True)
    return filled
