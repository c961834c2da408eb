"""Lifting of video as it comes: 2D joints of a frame in, its 3D joints out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from mmssm.structures import h36m

from .catalog import resolve_model
from .checkpoint import build_from_checkpoint
from .gaps import FILLED_CONFIDENCE
from .lifter import mirror

UNKNOWN_FACTOR = 4.0
"""Millimetres per pixel at the root where the camera is not known, as in MMPose."""


@dataclass(frozen=True)
class StreamedPoses:
    """What one frame became.

    Attributes:
        keypoints_3d: ``(N, J, 3)`` float32 metres from the root; axes of the camera,
            x right, y down, z forward. NaN for people of whom no joint has been seen.
        filled_joints: ``(N, J)`` bool: joints that were missing in this frame; they
            were taken from where they were seen last.
    """

    keypoints_3d: NDArray[np.float32]
    filled_joints: NDArray[np.bool_]


class StreamingLifter:
    """Lifts the frames of a stream one by one, with a causal model.

    Nothing is kept of earlier frames but the model's state (:meth:`state_dict`) and
    where each joint was seen last: memory and time per frame stay the same, however
    long the stream. The poses are those that the model gives for the whole sequence
    at once, as no output depends on later frames.

    Several people are rows of the same arrays. A row whose joints are all NaN is
    empty; :meth:`reset` makes room for someone else.

    Example:
        >>> lifter = StreamingLifter('posemamba-mocap-causal-27frm', (1920, 1080))
        >>> poses = lifter.step(keypoints, scores)  # (1, 17, 2) pixels, (1, 17)
        >>> poses.keypoints_3d  # (1, 17, 3) metres

    Args:
        model: Name of a model with weights, a checkpoint that describes its own model
            (``.safetensors``), or an estimator.
        image_size: Width and height of the image, pixels.
        num_people: Number of rows ``N``.
        device: Where the model runs. Default: the CPU, for an estimator its own.
        flip_test: Whether to lift the mirrored pose too and to average, for twice the
            time. Default: as the model's config has it for tests.
        factor: Millimetres per pixel at the person's root, its depth over the focal
            length: the size of the result is proportional to it, its shape does not
            depend on it. One number, or one for each person. Default: MMPose's 4,
            which it takes where the camera is not known.
        min_score: Joints below this confidence are missing.

    Raises:
        UnknownModelError, MissingWeightsError: There is no such model, or it has no
            weights here.
        ValueError: The model is not causal, or a size is out of its range.
    """

    def __init__(
        self,
        model: str | Path | nn.Module,
        image_size: tuple[int, int],
        num_people: int = 1,
        *,
        device: str | torch.device | None = None,
        flip_test: bool | None = None,
        factor: float | Sequence[float] = UNKNOWN_FACTOR,
        min_score: float = 0.0,
    ) -> None:
        if min(image_size) <= 0 or len(image_size) != 2:
            raise ValueError(
                f'image_size is (width, height) in pixels, got {image_size}'
            )
        if not 0 <= min_score <= 1:
            raise ValueError(f'min_score must lie in [0, 1], got {min_score}')
        self.model = _load(model, device)
        self.image_size = tuple(image_size)
        self.num_people = num_people
        self.min_score = min_score
        self.factor = np.asarray(factor, np.float32)
        if (self.factor <= 0).any() or self.factor.shape not in ((), (num_people,)):
            raise ValueError(
                f'factor must be positive, one number or one for each of the '
                f'{num_people} people, got {factor}'
            )
        backbone = self.model.backbone
        self._flips = (
            bool(self.model.test_cfg.get('flip_test', False))
            if flip_test is None
            else flip_test
        )
        if self._flips and backbone.num_joints != h36m.NUM_JOINTS:
            raise ValueError(
                f'the mirrored pass knows the {h36m.NUM_JOINTS} joints of Human3.6M, '
                f'the model has {backbone.num_joints}: set flip_test=False'
            )
        self._state = backbone.init_stream(num_people * (2 if self._flips else 1))
        self._places = np.full((num_people, backbone.num_joints, 2), np.nan, np.float32)

    @torch.no_grad()
    def step(
        self, keypoints: ArrayLike, scores: ArrayLike | None = None
    ) -> StreamedPoses:
        """Lifts the next frame.

        A joint that is missing keeps the place where it was seen last, or, if it
        never was, takes the middle of the joints that were; the model is told that
        it is not to be trusted.

        Args:
            keypoints: ``(N, J, 2)`` pixels, from the image's top left corner; NaN for
                a missing joint.
            scores: Confidence of each joint, ``(N, J)`` in [0, 1]; 0 for a missing
                joint. Default: 1.

        Returns:
            The poses.

        Raises:
            ValueError: On another shape, on infinite joints, or on scores that are no
                confidences.
        """
        points, confidence, missing = self._checked(keypoints, scores)
        self._places = np.where(missing[..., None], self._places, points)
        known = np.asarray(np.isfinite(self._places).all(axis=-1))
        empty = np.asarray(~known.any(axis=1))
        middle = np.nanmean(
            np.where(empty[:, None, None], 0, self._places), axis=1, keepdims=True
        )
        points = np.where(known[..., None], self._places, middle)
        confidence = np.where(missing, np.float32(FILLED_CONFIDENCE), confidence)
        poses = self._lift(points, confidence)
        if empty.any():
            # An empty row has no past.
            self._reset_streams(np.flatnonzero(empty).tolist())
            poses[empty] = np.nan
        return StreamedPoses(poses, missing)

    def reset(self, people: Sequence[int] | None = None) -> None:
        """Forgets what was seen of some people: their next frame is their first.

        Args:
            people: Rows. Default: all.

        Raises:
            IndexError: If there is no such row.
        """
        rows = list(range(self.num_people) if people is None else people)
        self._reset_streams(rows)
        self._places[rows] = np.nan

    def state_dict(self) -> dict[str, Tensor]:
        """All that is kept of earlier frames, as tensors by name."""
        places = torch.from_numpy(self._places.copy())
        return {**self._state.state_dict(), 'places': places}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes on where another lifter of this model was.

        Args:
            tensors: What its `state_dict` gave.

        Raises:
            ValueError: If the number of people, or the model, is another one.
        """
        tensors = dict(tensors)
        places = tensors.pop('places', None)
        self._state.load_state_dict(tensors)
        if places is None or places.shape != self._places.shape:
            raise ValueError(
                f'places must be {self._places.shape}, got '
                f'{None if places is None else tuple(places.shape)}'
            )
        self._places = places.cpu().numpy().copy()

    def _checked(
        self, keypoints: ArrayLike, scores: ArrayLike | None
    ) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
        points = np.asarray(keypoints, np.float32)
        if points.shape != self._places.shape:
            raise ValueError(
                f'keypoints of a frame must be {self._places.shape} (people, joints, x '
                f'and y), got {points.shape}'
            )
        confidence = np.ones(points.shape[:2], np.float32)
        if scores is not None:
            confidence = np.asarray(scores, np.float32)
        if confidence.shape != points.shape[:2]:
            raise ValueError(
                f'scores must be {points.shape[:2]}, got {confidence.shape}'
            )
        missing = np.isnan(points).any(axis=-1)
        wrong = np.isinf(points).any(axis=-1) | (
            ~missing & ~((confidence >= 0) & (confidence <= 1))
        )
        if wrong.any():
            person, joint = np.argwhere(wrong)[0]
            raise ValueError(
                f'person {person}, joint {joint}: expected pixels (NaN if missing) and '
                f'a score from 0 to 1, got {points[person, joint].tolist()} and '
                f'{confidence[person, joint]}'
            )
        missing |= (confidence == 0) | (confidence < self.min_score)
        return points, confidence, missing

    def _lift(self, points: NDArray, confidence: NDArray) -> NDArray[np.float32]:
        codec = self.model.head.decoder
        width, height = self.image_size
        # The codec takes people for frames, which it treats alike.
        encoded = codec.encode(
            points.astype(np.float32),
            confidence.astype(np.float32),
            lifting_target=np.zeros((*points.shape[:2], 3), np.float32),
            camera_param={'w': width, 'h': height},
        )['keypoint_labels']
        x = torch.from_numpy(np.ascontiguousarray(encoded, np.float32))
        x = x.to(self.model.backbone.joint_pos)
        if self._flips:
            x = torch.cat([x, mirror(x)])
        y = self.model.head(self.model.backbone.step(x, self._state))
        if self._flips:
            plain, flipped = y.chunk(2)
            y = (plain + mirror(flipped)) / 2
        people = self.num_people
        poses, _ = codec.decode(
            y.float().cpu().numpy(),
            w=np.full(people, width, np.float32),
            h=np.full(people, height, np.float32),
            factor=np.broadcast_to(self.factor, people)[:, None],
        )
        return poses.astype(np.float32)

    def _reset_streams(self, rows: Sequence[int]) -> None:
        copies = 2 if self._flips else 1
        self._state.reset(
            [row + copy * self.num_people for copy in range(copies) for row in rows]
        )


def _load(model: str | Path | nn.Module, device: str | torch.device | None):
    if isinstance(model, nn.Module):
        estimator = model.eval() if device is None else model.to(device).eval()
    else:
        is_file = Path(model).suffix in ('.safetensors', '.pth')
        weights = Path(model) if is_file else resolve_model(model).weights
        estimator = build_from_checkpoint(weights, device or 'cpu')
    if not getattr(getattr(estimator, 'backbone', None), 'causal', False):
        name = type(model).__name__ if isinstance(model, nn.Module) else model
        raise ValueError(
            f'{name} is not a causal lifter: frame by frame goes a PoseLifter whose '
            'backbone was built, and trained, with causal=True, such as '
            "'posemamba-mocap-causal-27frm'"
        )
    return estimator
