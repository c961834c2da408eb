"""From frames to the tracks of people: an estimator of 2D joints, and following."""

from collections.abc import Iterator
from dataclasses import dataclass
from logging import INFO
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmssm.inputs.frames import Frames
from mmssm.inputs.frontends.mediapipe_pose import MediapipePose
from mmssm.inputs.frontends.mmpose_models import MMPosePeople
from mmssm.inputs.keypoint_files import looks_like_keypoints, read_keypoints
from mmssm.inputs.people import People, bboxes_around
from mmssm.inputs.tracking import PersonTracker, TrackBuilder
from mmssm.structures.joint_sets import get_joint_set
from mmssm.structures.tracks import KeypointSequence
from mmssm.utils.errors import UserError


class PoseEstimator(Protocol):
    """Finds the people of one image.

    Attributes:
        name: What it is, for messages and reports.
        joint_set: The joints that it finds, a name of
            :mod:`mmssm.structures.joint_sets`.
    """

    name: str
    joint_set: str

    def start(self) -> None:
        """A new clip begins."""

    def __call__(self, image: NDArray[np.uint8]) -> People:
        """Finds the people of an image ``(H, W, 3)`` BGR."""


@dataclass(frozen=True)
class FramePeople:
    """The people of one frame of a stream.

    Attributes:
        frame: Number of the frame, from 0.
        track_ids: ``(P,)`` int64, who they are.
        keypoints: ``(P, J, 2)`` float32, pixels; NaN is a missing joint.
        scores: ``(P, J)`` float32 in [0, 1].
        bboxes: ``(P, 4)`` float32, ``(x0, y0, x1, y1)`` in pixels.
    """

    frame: int
    track_ids: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    bboxes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.track_ids)


class Pose2DFrontend:
    """Finds people in frames and follows them.

    Args:
        estimator: What finds the people of one image.
        max_gap: Most frames in a row in which a person may be missing; see
            :class:`mmssm.inputs.tracking.PersonTracker`.
    """

    def __init__(self, estimator: PoseEstimator, max_gap: int = 15) -> None:
        self.estimator = estimator
        self.max_gap = max_gap

    @property
    def name(self) -> str:
        """What finds the joints."""
        return self.estimator.name

    @property
    def joint_set(self) -> str:
        """The joints that it finds."""
        return self.estimator.joint_set

    def stream(self, frames: Frames) -> Iterator[FramePeople]:
        """Finds and numbers the people of every frame as it comes.

        Args:
            frames: Frames of :func:`mmssm.inputs.open_frames`.

        Yields:
            One for every frame, those without people included.
        """
        for frame, people, numbers in self._follow(frames):
            yield FramePeople(
                frame, numbers, people.keypoints, people.scores, people.bboxes
            )

    def __call__(self, frames: Frames) -> KeypointSequence:
        """Finds and follows the people of a clip.

        Args:
            frames: Frames of :func:`mmssm.inputs.open_frames` that come to an end.

        Returns:
            One track per person; none if nobody was found.
        """
        builder, count = TrackBuilder(), 0
        for frame, people, numbers in self._follow(frames):
            builder.add(frame, people, numbers)
            count = frame + 1
        return KeypointSequence(
            builder.tracks(),
            self.joint_set,
            frames.image_size,
            frames.fps,
            count,
            frames.name,
        )

    def _follow(
        self, frames: Frames
    ) -> Iterator[tuple[int, People, NDArray[np.int64]]]:
        tracker = PersonTracker(frames.image_size, self.max_gap)
        self.estimator.start()
        for frame, image in frames:
            people = self.estimator(image)
            yield frame, people, tracker.update(frame, people)


class KeypointFileFrontend:
    """Takes the people of a clip from a file of keypoints.

    Args:
        path: The file, in a format of :func:`mmssm.inputs.read_keypoints`.
        joint_set: Its joint set, where the file does not say it.
        max_gap: Most frames in a row in which a person may be missing, where the file
            has no track numbers.
    """

    def __init__(
        self,
        path: str | PathLike,
        joint_set: str | None = None,
        max_gap: int = 15,
    ) -> None:
        self.path = Path(path)
        self.name = f'keypoint file {self.path.name}'
        self.max_gap = max_gap
        self._joint_set = joint_set

    def __call__(self, frames: Frames) -> KeypointSequence:
        """Reads the file.

        Args:
            frames: The clip it belongs to, for the size of its images and its fps.

        Raises:
            KeypointFileError: The file does not hold, or does not fit the clip.
        """
        return read_keypoints(
            self.path, joint_set=self._joint_set, video=frames, max_gap=self.max_gap
        )

    def stream(self, frames: Frames) -> Iterator[FramePeople]:
        """The people of every frame, as the file has them."""
        sequence = self(frames)
        for frame, _ in frames:
            yield _people_of(sequence, frame)


def _people_of(sequence: KeypointSequence, frame: int) -> FramePeople:
    rows = list(sequence.people_in(frame))
    num_joints = get_joint_set(sequence.joint_set).num_joints
    keypoints = np.zeros((len(rows), num_joints, 2), np.float32)
    scores = np.zeros((len(rows), num_joints), np.float32)
    for index, (track, row) in enumerate(rows):
        keypoints[index], scores[index] = track.keypoints[row], track.scores[row]
    bboxes = bboxes_around(keypoints, scores)
    for index, (track, row) in enumerate(rows):
        if track.bboxes is not None:
            bboxes[index] = track.bboxes[row]
    numbers = np.array([track.track_id for track, _ in rows], np.int64)
    return FramePeople(frame, numbers, keypoints, scores, bboxes)


def pose2d(
    name: str | PathLike = 'mediapipe',
    *,
    max_people: int = 4,
    max_gap: int = 15,
    models: str | PathLike | None = None,
    weights: str | None = None,
    det_model: str | None = None,
    det_weights: str | None = None,
    device: str | None = None,
    joint_set: str | None = None,
) -> Pose2DFrontend | KeypointFileFrontend:
    """Chooses what finds people in frames, and says in the log what was chosen.

    Args:
        name: One of

            - ``'mediapipe'``: MediaPipe's networks, 33 joints, on the CPU; they are
              fetched once by ``python -m mmssm.inputs fetch-mediapipe``;
            - the path of a keypoint file, ``.json`` or ``.npz``;
            - anything else: an alias (``'human'``, ``'body26'``, ``'wholebody'``), a
              config's name or a config's path for MMPose's ``Pose2DInferencer``.
        max_people: How many people to look for (MediaPipe).
        max_gap: Most frames in a row in which a person may be missing.
        models: Folder of MediaPipe's networks; default: the user's cache.
        weights: Checkpoint of MMPose's model; default: the alias's own.
        det_model: Detector of people for MMPose's top-down models, an alias or config
            of MMDetection, or ``'whole_image'``; default: MMPose's own choice.
        det_weights: Checkpoint of ``det_model``.
        device: Where MMPose's models run, such as ``'cuda:0'``.
        joint_set: Joint set of a keypoint file, or of MMPose's model, where they do
            not say it.

    Returns:
        A function from frames to :class:`KeypointSequence`, with ``stream`` for one
        frame at a time.

    Raises:
        MissingPackage: A package is not installed; the message says which and how.
        ModelFileError: MediaPipe's networks have not been fetched.
        UserError: The alias is not known, or an argument does not go with the choice.
    """
    given = {
        'models': models,
        'weights': weights,
        'det_model': det_model,
        'det_weights': det_weights,
        'device': device,
        'joint_set': joint_set,
    }
    chosen: Pose2DFrontend | KeypointFileFrontend
    if name == 'mediapipe':
        _only(given, ('models',), "'mediapipe'")
        chosen = Pose2DFrontend(MediapipePose.load(models, max_people), max_gap)
    elif looks_like_keypoints(name):
        _only(given, ('joint_set',), 'a keypoint file')
        chosen = KeypointFileFrontend(name, joint_set, max_gap)
    else:
        _only(given, tuple(set(given) - {'models'}), "a model of MMPose's")
        estimator = MMPosePeople(
            str(name), weights, det_model, det_weights, device, joint_set
        )
        chosen = Pose2DFrontend(estimator, max_gap)
    print_log(f'2D joints: {chosen.name}', 'current', INFO)
    return chosen


def _only(given: dict[str, Any], allowed: tuple[str, ...], choice: str) -> None:
    wrong = [key for key, value in given.items() if value and key not in allowed]
    if wrong:
        raise UserError(f'{", ".join(wrong)} cannot be given for {choice}')
