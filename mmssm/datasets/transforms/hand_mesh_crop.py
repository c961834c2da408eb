"""The square crop of a hand whose mesh is predicted, and its augmentation.

The rule is HaMeR's (Pavlakos et al., "Reconstructing Hands in 3D with
Transformers"), which Hamba shares. What is done to the crop is done to every
annotation: joints in the plane and in space, vertices, the rotation of the wrist.
"""

import math
from logging import WARNING
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.logging import print_log
from mmpose.datasets.transforms import RandomBBoxTransform, TopdownAffine
from mmpose.structures.bbox import bbox_xyxy2cs

from mmssm.datasets.hand_annotations import check_invalid
from mmssm.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mmssm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class HandMeshCropBox(BaseTransform):
    """Makes a hand's box the square that is cut out.

    Its side is ``factor`` times the longer side of the box once it is extended to
    an aspect. What MMPose's ``GetBBoxCenterScale`` cannot do: it pads both sides
    alike and knows no aspect but the crop's, and it takes boxes of NaN, of no size
    or beside the image.

    Required keys: ``bbox (1, 4)`` corners; ``img_shape`` and ``img_path`` are used
    if there. Added keys: ``bbox_center (1, 2)``, ``bbox_scale (1, 2)``.

    Args:
        factor: Side of the crop over the longer side of the extended box.
        aspect: Width and height that the box is extended to; None: it is not.
        invalid: What to do with a box that cannot be cut out: ``'raise'``, or
            ``'skip'`` the sample in training with a warning.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        factor: float = 2.0,
        aspect: tuple[int, int] | None = (192, 256),
        invalid: str = 'raise',
    ) -> None:
        if not 0 < factor < math.inf:
            raise ValueError(f'factor must be positive, got {factor}')
        if aspect is not None and not (len(aspect) == 2 and min(aspect) > 0):
            raise ValueError(f'aspect must be a width and a height, got {aspect}')
        check_invalid(invalid)
        self.factor = factor
        self.aspect = aspect
        self.invalid = invalid

    def transform(self, results: dict) -> dict | None:
        """Adds centre and side of the crop.

        Args:
            results: A sample.

        Returns:
            The sample, or None where it is skipped.

        Raises:
            ValueError: The box is NaN, has no size or does not meet the image.
        """
        box = np.asarray(results['bbox'], np.float64).reshape(-1, 4)
        fault = _box_fault(box, results.get('img_shape'))
        if fault is not None:
            message = f'box {box.tolist()} of {_name(results)} {fault}'
            if self.invalid == 'raise':
                raise ValueError(message)
            print_log(f'{message}; another is used', 'current', WARNING)
            return None
        center, scale = bbox_xyxy2cs(box)
        side = self.factor * self._longer(scale)
        results['bbox_center'] = center.astype(np.float32)
        results['bbox_scale'] = np.repeat(side, 2, axis=1).astype(np.float32)
        return results

    def _longer(self, scale: np.ndarray) -> np.ndarray:
        if self.aspect is None:
            return scale.max(1, keepdims=True)
        width, height = self.aspect
        ratios = np.array([max(1, height / width), max(1, width / height)])
        return (scale * ratios).max(1, keepdims=True)


def _name(results: dict) -> str:
    path, number = results.get('img_path'), results.get('sample_idx')
    sample = 'a sample' if number is None else f'sample {number}'
    return f'{sample} ({path})' if path else sample


def _box_fault(box: np.ndarray, shape: tuple[int, int] | None) -> str | None:
    if len(box) != 1:
        return 'are not one: a crop shows one hand'
    if not np.isfinite(box).all():
        return 'is NaN or infinite'
    low, high = box[0, :2], box[0, 2:]
    if not (low < high).all():
        return 'has no size: expected left, top, right and bottom, pixels'
    if shape is not None and ((high <= 0) | (low >= (shape[1], shape[0]))).any():
        return f'lies outside the image of {shape[1]} x {shape[0]} pixels'
    return None


@TRANSFORMS.register_module()
class HandMeshCropJitter(RandomBBoxTransform):
    """Shifts, scales and turns the box at random.

    What MMPose's ``RandomBBoxTransform`` cannot do: it draws from a truncated
    normal distribution, and all from the same interval; here numbers beyond the
    limit are moved onto it, and rotations reach to two deviations.

    Args:
        scale: Deviation, and greatest change, of the box's size.
        rotation: Deviation of the rotation, degrees; the greatest is twice as much.
        rotation_prob: Part of the crops that are turned.
        shift: Deviation, and greatest, shift in parts of the box's side.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        scale: float = 0.3,
        rotation: float = 30.0,
        rotation_prob: float = 0.6,
        shift: float = 0.02,
    ) -> None:
        if not 0 <= scale < 1 or not 0 <= rotation_prob <= 1:
            raise ValueError(
                'scale must be in [0, 1) and rotation_prob in [0, 1], got '
                f'{scale} and {rotation_prob}'
            )
        if rotation < 0 or shift < 0:
            raise ValueError(
                f'rotation and shift must not be negative, got {rotation} and {shift}'
            )
        super().__init__(
            shift_factor=shift,
            shift_prob=1.0,
            scale_factor=(1 - scale, 1 + scale),
            rotate_factor=rotation,
            rotate_prob=rotation_prob,
        )
        self.scale = scale

    @cache_randomness
    def _get_transform_params(self, num_bboxes: int) -> tuple:
        drawn = np.random.randn(num_bboxes, 4).astype(np.float32)
        offset = self.shift_factor * drawn[:, :2].clip(-1, 1)
        scale = 1 + self.scale * drawn[:, 2:3].clip(-1, 1)
        turned = np.random.rand(num_bboxes) < self.rotate_prob
        rotate = self.rotate_factor * drawn[:, 3].clip(-2, 2) * turned
        return offset, scale, rotate


@TRANSFORMS.register_module()
class HandMeshCropAffine(TopdownAffine):
    """Cuts the crop out, and turns annotations in space along with it.

    What MMPose's ``TopdownAffine`` cannot do: it leaves ``keypoints_cam`` as it is
    when the crop is turned, and takes single pixels of images that are shrunk.

    A turn of the image about the crop's centre is one about the viewing axis there:
    joints, vertices and wrist are turned about the camera's axis. This is exact
    where the crop's centre is the principal point, and for a camera far away.

    Required and modified keys as of ``TopdownAffine``. Added keys, where the
    annotation is there: ``transformed_keypoints_cam``, ``transformed_vertices``,
    ``transformed_mano_pose`` (of ``keypoints_cam``, ``vertices``, ``mano_pose``).
    What is of the image (``keypoints_cam`` and the others) stays as it is.

    Args:
        input_size: Width and height of the crop, pixels; equal.
        blur_above: Images that are shrunk by more than this factor f are blurred
            before, with a deviation of (f - 1) / 2 pixels; None: never.

    Raises:
        ValueError: The crop is not square, or ``blur_above`` is below 1.
    """

    def __init__(
        self,
        input_size: tuple[int, int] = (256, 256),
        blur_above: float | None = 1.1,
    ) -> None:
        super().__init__(tuple(input_size))
        if input_size[0] != input_size[1]:
            raise ValueError(f'the crop must be square, got {input_size}')
        if blur_above is not None and blur_above < 1:
            raise ValueError(f'blur_above must be at least 1, got {blur_above}')
        self.blur_above = blur_above

    def transform(self, results: dict) -> dict:
        """Cuts the crop out.

        Args:
            results: A sample with image, ``bbox_center`` and ``bbox_scale``.

        Returns:
            The sample.
        """
        factor = float(np.max(results['bbox_scale'])) / self.input_size[0]
        if self.blur_above is not None and factor > self.blur_above:
            results['img'] = _soften(results, (factor - 1) / 2)
        results = super().transform(results)
        turn = viewing_turn(float(np.ravel(results.get('bbox_rotation', 0.0))[0]))
        for key in ('keypoints_cam', 'vertices'):
            if results.get(key) is not None:
                turned = results[key] @ turn.T
                results[f'transformed_{key}'] = turned.astype(np.float32)
        if results.get('mano_pose') is not None:
            turned = turn_wrist(results['mano_pose'], turn)
            results['transformed_mano_pose'] = turned.astype(np.float32)
        return results


def viewing_turn(degrees: float) -> np.ndarray:
    """How a crop's rotation turns the camera's frame.

    Args:
        degrees: ``bbox_rotation`` of MMPose: the box is turned clockwise in the
            image, so what is in the crop is turned anticlockwise.

    Returns:
        ``(3, 3)`` rotation about the viewing axis.
    """
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def turn_wrist(mano_pose: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Turns a hand by its wrist; the fingers' rotations are relative to it.

    Args:
        mano_pose: ``(N, 3 J)`` axis-angle, radians, the wrist first.
        turn: ``(3, 3)`` rotation of the frame.

    Returns:
        ``(N, 3 J)``.
    """
    wrist = axis_angle_to_matrix(torch.from_numpy(mano_pose[:, :3].astype(np.float64)))
    turned = matrix_to_axis_angle(torch.from_numpy(turn) @ wrist).numpy()
    return np.concatenate([turned, mano_pose[:, 3:]], 1)


def _soften(results: dict, deviation: float) -> np.ndarray:
    """The image, blurred where the crop, turned or not, can show it."""
    image = results['img']
    side = float(np.max(results['bbox_scale']))
    reach = side / math.sqrt(2) + 4 * deviation + 1
    center = np.asarray(results['bbox_center'], np.float64)[0]
    size = (image.shape[1], image.shape[0])
    low = np.clip(np.floor(center - reach), 0, size).astype(int)
    high = np.clip(np.ceil(center + reach), 0, size).astype(int)
    part: Any = (slice(low[1], high[1]), slice(low[0], high[0]))
    if not image[part].size:
        return image
    softened = image.copy()
    softened[part] = cv2.GaussianBlur(image[part], (0, 0), deviation)
    return softened


@TRANSFORMS.register_module()
class RandomChannelGain(BaseTransform):
    """Multiplies each colour channel by a random number.

    MMPose's ``PhotometricDistortion`` changes brightness, contrast and hue
    together; this one changes the channels alone, as HaMeR's training does.

    Required and modified key: ``img``, bytes.

    Args:
        gain: Numbers are drawn from [1 - gain, 1 + gain].

    Raises:
        ValueError: ``gain`` is not in [0, 1).
    """

    def __init__(self, gain: float = 0.2) -> None:
        if not 0 <= gain < 1:
            raise ValueError(f'gain must be in [0, 1), got {gain}')
        self.gain = gain

    @cache_randomness
    def _draw(self, channels: int) -> np.ndarray:
        return np.random.uniform(1 - self.gain, 1 + self.gain, channels)

    def transform(self, results: dict) -> dict:
        """Changes the image.

        Args:
            results: A sample.

        Returns:
            The sample.
        """
        image = results['img']
        changed = image * self._draw(image.shape[-1]).astype(np.float32)
        results['img'] = changed.round().clip(0, 255).astype(image.dtype)
        return results
