"""2D keypoints as a detector would have found them."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmssm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class DetectorNoise(BaseTransform):
    """Turns exact 2D keypoints of a clip into imperfect detections.

    MMPose has noise for boxes, none for the keypoints of a lifter. Each joint
    is off by Gaussian noise that changes slowly from frame to frame, as a
    detector's error does. Now and then a joint is occluded for a while: it is
    off by more, and its confidence is low.

    Draws come from NumPy's global generator; mmssm's datasets seed it for each
    sample, so a validation sample is the same in every epoch.

    Required keys: ``keypoints (T, K, 2)`` pixels, ``keypoints_visible (T, K)``.
    Modified keys: the same; ``keypoints_visible`` becomes the confidence.

    Args:
        std: Standard deviation of a seen joint's error, pixels, each axis.
        occluded_std: The same for an occluded joint.
        occlusion_rate: Expected part of joints and frames that is occluded.
        occlusion_length: Shortest and longest occlusion, frames.
        memory: Correlation of the error between successive frames, in [0, 1).
        confidence: Range of a seen joint's confidence.
        occluded_confidence: Range of an occluded joint's confidence.

    Raises:
        ValueError: An argument out of its range.
    """

    def __init__(
        self,
        std: float = 4.0,
        occluded_std: float = 20.0,
        occlusion_rate: float = 0.05,
        occlusion_length: tuple[int, int] = (3, 15),
        memory: float = 0.7,
        confidence: tuple[float, float] = (0.8, 1.0),
        occluded_confidence: tuple[float, float] = (0.1, 0.5),
    ) -> None:
        if std < 0 or occluded_std < 0:
            raise ValueError(
                f'std and occluded_std must not be negative, got {std}, {occluded_std}'
            )
        if not 0 <= memory < 1:
            raise ValueError(f'memory must lie in [0, 1), got {memory}')
        if not 0 <= occlusion_rate < 1:
            raise ValueError(f'occlusion_rate must lie in [0, 1), got {occlusion_rate}')
        shortest, longest = occlusion_length
        if not 1 <= shortest <= longest:
            raise ValueError(
                'occlusion_length must be (shortest, longest) with 1 <= shortest '
                f'<= longest, got {occlusion_length}'
            )
        self.std = std
        self.occluded_std = occluded_std
        self.occlusion_rate = occlusion_rate
        self.occlusion_length = (shortest, longest)
        self.memory = memory
        self.confidence = confidence
        self.occluded_confidence = occluded_confidence

    def transform(self, results: dict) -> dict:
        """Adds the noise to one sample."""
        keypoints = results['keypoints']
        occluded = self._draw_occlusions(*keypoints.shape[:2])
        std = np.where(occluded, self.occluded_std, self.std)[..., None]
        noise = std * self._draw_slow_noise(keypoints.shape)
        confidence = np.where(
            occluded,
            np.random.uniform(*self.occluded_confidence, occluded.shape),
            np.random.uniform(*self.confidence, occluded.shape),
        )
        results['keypoints'] = (keypoints + noise).astype(np.float32)
        results['keypoints_visible'] = (
            results['keypoints_visible'] * confidence
        ).astype(np.float32)
        return results

    def _draw_slow_noise(self, shape: tuple[int, ...]) -> np.ndarray:
        """Unit Gaussian noise, first-order autoregressive along axis 0."""
        fresh = np.random.standard_normal(shape)
        fresh[1:] *= np.sqrt(1 - self.memory**2)
        lag = np.subtract.outer(np.arange(shape[0]), np.arange(shape[0]))
        mix = np.where(lag >= 0, self.memory ** np.maximum(lag, 0.0), 0.0)
        return np.tensordot(mix, fresh, 1)

    def _draw_occlusions(self, frames: int, joints: int) -> np.ndarray:
        """Boolean ``(frames, joints)``."""
        shortest, longest = self.occlusion_length
        occluded = np.zeros((frames, joints), bool)
        # an event of mean length m covers a given frame of a given joint with
        # probability m / (frames + longest), as it may begin before the clip
        mean = (shortest + longest) / 2
        span = frames + longest
        # solves rate = 1 - exp(-events per joint * mean / span)
        per_joint = -np.log1p(-self.occlusion_rate) * span / mean
        for _ in range(np.random.poisson(per_joint * joints)):
            length = np.random.randint(shortest, longest + 1)
            start = np.random.randint(-longest, frames)
            occluded[
                max(0, start) : max(0, start + length), np.random.randint(joints)
            ] = True
        return occluded
