"""Lifting of video as it comes: 2D joints of a frame in, its 3D joints out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from mmssm.structures import h36m

from .gaps import FILLED_CONFIDENCE, Gaps, borrow
from .lifter import Lifter


@dataclass(frozen=True)
class StreamedPoses:
    """What one frame became.

    Attributes:
        keypoints_3d: ``(N, J, 3)`` float32 metres from the root; axes of the camera,
            x right, y down, z forward. NaN in empty rows.
        keypoints: ``(N, J, 2)`` float32 pixels: the 2D joints that were lifted.
        filled_joints: ``(N, J)`` bool: joints that were missing in this frame and
            were filled in.
    """

    keypoints_3d: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    filled_joints: NDArray[np.bool_]


class StreamingLifter:
    """Lifts the frames of a stream one by one, with a causal model.

    Nothing is kept of earlier frames but the model's state, where each joint was seen
    last, and for how long it has been missing (:meth:`state_dict`): memory and time
    per frame stay the same, however long the stream. The poses are those that
    `PoseLifterInferencer` gives for the whole sequence at once, as no output depends
    on later frames; only what is missing cannot be filled in from later ones.

    Several people are rows of the same arrays. A row is empty until somebody is seen
    in it, and when nobody has been for more than ``max_gap`` frames; :meth:`reset`
    makes room for someone else at once.

    Example:
        >>> lifter = StreamingLifter('posemamba-mocap-causal-27frm', (1920, 1080))
        >>> poses = lifter.step(keypoints, scores)  # (1, 17, 2) pixels, (1, 17)
        >>> poses.keypoints_3d  # (1, 17, 3) metres

    Args:
        model: Name of a model, a config file, a checkpoint that describes its own
            model, or a PoseLifter. Or a `Lifter`, which holds what is asked for from
            ``weights`` to ``stature``.
        image_size: Width and height of the image, pixels.
        num_people: Number of rows ``N``.
        weights: Its weights, ``.pth`` or ``.safetensors``; the model's own if None.
        device: Where it runs; None: a GPU if there is one, a PoseLifter where it is.
        flip_test: Whether the mirrored person is lifted too and the mean is taken, at
            twice the cost; None: as the model's config says.
        stature: Height of the people, metres, which sets the scale of every frame.
            None keeps MMPose's 4 mm for every pixel of the image.
        min_score: Joints below this confidence count as missing.
        max_gap: For how many frames a joint stays where it was seen last. When it is
            missing for longer, what the detector guesses is taken, if it does.

    Raises:
        UnknownModelError, MissingWeightsError: There is no such model, or it has no
            weights here.
        UserError: Model, weights or device cannot be used.
        ValueError: The model is not causal, or an argument is not as above.
    """

    def __init__(
        self,
        model: str | Path | nn.Module | Lifter,
        image_size: tuple[int, int],
        num_people: int = 1,
        *,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        flip_test: bool | None = None,
        stature: float | None = 1.7,
        min_score: float = 0.3,
        max_gap: int = 15,
    ) -> None:
        if len(image_size) != 2 or min(image_size) <= 0:
            raise ValueError(
                f'image_size is (width, height) in pixels, got {image_size}'
            )
        self.gaps = Gaps(min_score, max_gap)
        self.lifter = (
            model
            if isinstance(model, Lifter)
            else Lifter(model, weights, device, flip_test=flip_test, stature=stature)
        )
        if not self.lifter.is_causal:
            raise ValueError(
                f'{self.lifter.name} is not a causal lifter: frame by frame goes a '
                'PoseLifter whose backbone was built, and trained, with causal=True, '
                "such as 'posemamba-mocap-causal-27frm'"
            )
        self.image_size = (image_size[0], image_size[1])
        self.num_people = num_people
        self._state = self.lifter.begin(num_people)
        self._places = np.full((num_people, h36m.NUM_JOINTS, 2), np.nan, np.float32)
        # counted up to where more makes no difference; at first nobody was ever seen
        self._missing = np.full(self._places.shape[:2], max_gap + 1)
        self._away = np.full(num_people, max_gap + 1)

    def step(
        self, keypoints: ArrayLike, scores: ArrayLike | None = None
    ) -> StreamedPoses:
        """Lifts the next frame.

        A joint that is missing keeps the place where it was seen last, or, if it
        never was, takes that of its nearest relative along the skeleton; the model is
        told that it is not to be trusted.

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
        points, confidence, found = self._checked(keypoints, scores)
        taken = self._remember(points, confidence, found)
        empty = self._away > self.gaps.max_gap
        points = np.where(empty[:, None, None], np.float32(0), self._places)
        for row in np.flatnonzero(~empty):
            known = np.isfinite(self._places[row]).all(-1)
            borrow(points[row : row + 1], known, h36m.PARENTS)
        trust = np.where(taken, confidence, np.float32(FILLED_CONFIDENCE))
        joints = np.concatenate([points, trust[..., None]], -1)
        poses = self.lifter.step(joints[:, None], self.image_size, self._state)[:, 0]
        if empty.any():
            self.reset(np.flatnonzero(empty).tolist())
            poses[empty] = points[empty] = np.nan
        return StreamedPoses(poses, points, ~taken)

    def _remember(
        self, points: NDArray, confidence: NDArray, found: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Says which joints are where they are found; the others stay where they were.

        As :func:`~mmssm.apis.gaps.fill` has it at the end of a clip.
        """
        longest = self.gaps.max_gap + 1
        good = found & (confidence >= self.gaps.min_score)
        self._missing = np.where(good, 0, np.minimum(self._missing + 1, longest))
        self._away = np.where(found.any(1), 0, np.minimum(self._away + 1, longest))
        taken = good | (found & (self._missing == longest))
        self._places = np.where(taken[..., None], points, self._places)
        return taken

    def reset(self, people: Sequence[int] | None = None) -> None:
        """Forgets what was seen of some people: their next frame is their first.

        Args:
            people: Rows. Default: all.

        Raises:
            IndexError: If there is no such row.
        """
        rows = list(range(self.num_people) if people is None else people)
        copies = self._state.batch_size // self.num_people
        self._state.reset(
            [row + copy * self.num_people for copy in range(copies) for row in rows]
        )
        self._places[rows] = np.nan
        self._missing[rows] = self._away[rows] = self.gaps.max_gap + 1

    def state_dict(self) -> dict[str, Tensor]:
        """All that is kept of earlier frames, as tensors by name."""
        own = {name: torch.from_numpy(a.copy()) for name, a in self._arrays().items()}
        return {**self._state.state_dict(), **own}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes on where another lifter of this model was.

        Args:
            tensors: What its `state_dict` gave.

        Raises:
            ValueError: If the number of people, or the model, is another one.
        """
        network = dict(tensors)
        for name, own in self._arrays().items():
            tensor = network.pop(name, None)
            if tensor is None or tensor.shape != own.shape:
                raise ValueError(
                    f'{name} must be {own.shape}, got '
                    f'{None if tensor is None else tuple(tensor.shape)}'
                )
        self._state.load_state_dict(network)
        for name, own in self._arrays().items():
            own[:] = tensors[name].cpu().numpy()

    def _arrays(self) -> dict[str, NDArray]:
        return {'places': self._places, 'missing': self._missing, 'away': self._away}

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
        return points, confidence, ~missing & (confidence > 0)
