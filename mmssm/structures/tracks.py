"""2D keypoints of people over a video: one track per person."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmssm.structures.joint_sets import get_joint_set


@dataclass(frozen=True)
class KeypointTrack:
    """The 2D joints of one person in the frames in which they were found.

    Attributes:
        track_id: Number of the person, unique within a sequence, not negative.
        frames: ``(T,)`` int64, numbers of the frames, counted from 0, strictly
            increasing; numbers that are not in it are frames without the person.
        keypoints: ``(T, J, 2)`` float32, pixels, origin at the top left; NaN is a
            joint that was not found.
        scores: ``(T, J)`` float32 in [0, 1]; 0 for a joint that was not found.
        bboxes: ``(T, 4)`` float32, boxes ``(x0, y0, x1, y1)`` in pixels, or None if
            they are not known.

    Arrays of other numbers are brought to these dtypes.

    Raises:
        ValueError: A shape, a dtype or a value is not as above.
    """

    track_id: int
    frames: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    bboxes: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self._check(
            isinstance(self.track_id, int | np.integer) and self.track_id >= 0,
            'track_id must be a whole number from 0 on',
        )
        self._take('frames', ('T',), np.int64)
        num_frames = len(self.frames)
        self._take('keypoints', (num_frames, 'J', 2), np.float32)
        self._take('scores', (num_frames, self.num_joints), np.float32)
        if self.bboxes is not None:
            self._take('bboxes', (num_frames, 4), np.float32)
        self._check_frames()
        self._check_values()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def num_joints(self) -> int:
        """The number of joints, J."""
        return self.keypoints.shape[1]

    def _check(self, holds: Any, message: str) -> None:
        if not holds:
            raise ValueError(f'track {self.track_id}: {message}')

    def _take(self, name: str, shape: tuple[int | str, ...], dtype: type) -> None:
        """Checks an array and brings it to its dtype."""
        array = np.asarray(getattr(self, name))
        kinds = 'iu' if dtype is np.int64 else 'iuf'
        fits = array.ndim == len(shape) and all(
            isinstance(wanted, str) or size == wanted
            for size, wanted in zip(array.shape, shape, strict=True)
        )
        sizes = ', '.join(map(str, shape))
        self._check(
            fits and array.dtype.kind in kinds,
            f'{name} must be ({sizes}) of {np.dtype(dtype).name}, got {array.shape} '
            f'of {array.dtype.name}',
        )
        object.__setattr__(self, name, array.astype(dtype, copy=False))

    def _check_frames(self) -> None:
        self._check(len(self.frames), 'it has no frame; leave it out')
        self._check(
            self.frames[0] >= 0, f'frames count from 0, got {int(self.frames[0])}'
        )
        wrong = np.flatnonzero(np.diff(self.frames) <= 0)
        if len(wrong):
            pair = self.frames[wrong[0] : wrong[0] + 2].tolist()
            self._check(False, f'frames must be strictly increasing, got {pair}')

    def _check_values(self) -> None:
        infinite = np.isinf(self.keypoints).any(axis=-1)
        self._check_joints(infinite, 'is infinite')
        outside = ~((self.scores >= 0) & (self.scores <= 1))
        self._check_joints(outside, 'has a score outside [0, 1]')
        missing = np.isnan(self.keypoints).any(axis=-1)
        self._check_joints(
            missing & (self.scores > 0), 'is missing (NaN) and has a score above 0'
        )

    def _check_joints(self, wrong: Any, what: str) -> None:
        if wrong.any():
            row, joint = np.argwhere(wrong)[0]
            raise ValueError(
                f'track {self.track_id}: joint {joint} of frame '
                f'{int(self.frames[row])} {what}: keypoint '
                f'{self.keypoints[row, joint].tolist()}, score '
                f'{float(self.scores[row, joint])}'
            )


@dataclass(frozen=True)
class KeypointSequence:
    """What a 2D front end or a keypoint file says of a video.

    Attributes:
        tracks: One per person; may be empty.
        joint_set: A key of :data:`mmssm.structures.joint_sets.JOINT_SETS`.
        image_size: ``(width, height)`` of the video, pixels.
        fps: Frames per second of the video.
        num_frames: Number of frames of the video, those without people included.
        source: Where it comes from, for messages and reports.

    Raises:
        ValueError: A value is not as above, two tracks share a number, or a track has
            other joints than the set or reaches beyond the last frame.
    """

    tracks: list[KeypointTrack]
    joint_set: str
    image_size: tuple[int, int]
    fps: float
    num_frames: int
    source: str

    def __post_init__(self) -> None:
        width_height = tuple(self.image_size)
        if len(width_height) != 2 or not all(size > 0 for size in width_height):
            raise ValueError(
                f'image_size must be (width, height) in pixels, got {self.image_size}'
            )
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f'fps must be positive, got {self.fps}')
        if self.num_frames < 0:
            raise ValueError(f'num_frames must not be negative, got {self.num_frames}')
        numbers = [track.track_id for track in self.tracks]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f'tracks must have numbers of their own, got {numbers}')
        num_joints = get_joint_set(self.joint_set).num_joints
        for track in self.tracks:
            if track.num_joints != num_joints:
                raise ValueError(
                    f'track {track.track_id} has {track.num_joints} joints, and '
                    f'{self.joint_set} has {num_joints}'
                )
            if track.frames[-1] >= self.num_frames:
                raise ValueError(
                    f'track {track.track_id} reaches frame {int(track.frames[-1])}, '
                    f'and the video has {self.num_frames} frames (0 is the first)'
                )

    def __len__(self) -> int:
        return self.num_frames

    def people_in(self, frame: int) -> Iterator[tuple[KeypointTrack, int]]:
        """The tracks that hold a frame, each with its row of that frame."""
        for track in self.tracks:
            row = int(np.searchsorted(track.frames, frame))
            if row < len(track) and track.frames[row] == frame:
                yield track, row
