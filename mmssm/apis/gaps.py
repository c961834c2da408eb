"""Missing detections: filled where that is safe, and told where they were.

A lifter needs all joints in every frame of a clip. Detectors lose joints and
people. Short gaps are interpolated in time; a person who is away for longer comes
back as a new piece of the same track, which is lifted on its own.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmssm.structures.tracks import KeypointTrack

FILLED_CONFIDENCE = 0.3
"""What a network is told of a joint that was filled in: as of one that a detector
guessed behind something."""


@dataclass(frozen=True)
class Gaps:
    """What counts as missing, and how much of it is filled.

    Attributes:
        min_score: Joints below this confidence are missing.
        max_gap: Longest run of frames over which something is interpolated. A joint
            that is missing for longer, or in all of a clip, keeps what the detector
            guessed, if it did. A person missing for longer is lifted in pieces.

    Raises:
        ValueError: A value is out of its range.
    """

    min_score: float = 0.3
    max_gap: int = 15

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ValueError(f'min_score must lie in [0, 1], got {self.min_score}')
        if self.max_gap < 0:
            raise ValueError(f'max_gap must not be negative, got {self.max_gap}')


@dataclass(frozen=True)
class Clip:
    """A piece of a track without gaps.

    Attributes:
        first: Number of its first frame.
        keypoints: ``(T, J, 2)`` float32, pixels; nothing is NaN.
        scores: ``(T, J)`` float32, the detector's; 0 where it found nothing.
        filled: ``(T,)`` bool: no joint of this frame was found.
        filled_joints: ``(T, J)`` bool.
    """

    first: int
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    filled: NDArray[np.bool_]
    filled_joints: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def frames(self) -> NDArray[np.int64]:
        """Numbers of its frames ``(T,)``."""
        return np.arange(self.first, self.first + len(self))

    def row(self, row: int) -> 'Clip':
        """The clip of one frame."""
        one = slice(row, row + 1)
        return Clip(
            self.first + row,
            self.keypoints[one],
            self.scores[one],
            self.filled[one],
            self.filled_joints[one],
        )

    @property
    def network_input(self) -> NDArray[np.float32]:
        """Pixels and confidence of every joint ``(T, J, 3)``."""
        confidence = np.where(self.filled_joints, FILLED_CONFIDENCE, self.scores)
        return np.concatenate(
            [self.keypoints, confidence[..., None]], axis=-1, dtype=np.float32
        )


def split_at_gaps(frames: NDArray[np.int64], max_gap: int) -> Iterator[tuple[int, int]]:
    """Rows ``(first, behind the last)`` of the pieces of a track.

    Args:
        frames: ``(T,)`` numbers of the frames in which somebody was seen.
        max_gap: Most frames that may be missing between two of a piece.
    """
    breaks = np.flatnonzero(np.diff(frames) > max_gap + 1) + 1
    edges = [0, *breaks.tolist(), len(frames)]
    for start, stop in itertools.pairwise(edges):
        if stop > start:
            yield start, stop


def clips_of(
    track: KeypointTrack, gaps: Gaps, parents: Sequence[int]
) -> tuple[list[Clip], list[str]]:
    """Cuts a track into pieces without gaps.

    Args:
        track: The track.
        gaps: What to fill.
        parents: Parent of each joint, -1 for the root: a joint that a whole piece
            has nowhere takes the place of its nearest ancestor, or else descendant,
            that is there.

    Returns:
        The pieces in order, and what to say of them.
    """
    seen = np.isfinite(track.keypoints).all(-1) & (track.scores > 0)
    rows = np.flatnonzero(seen.any(1))
    notes: list[str] = []
    name = f'person {track.track_id}'
    if not len(rows):
        return [], [f'{name} has no joint in any frame and is left out']
    clips = []
    for start, stop in split_at_gaps(track.frames[rows], gaps.max_gap):
        part = rows[start:stop]
        clips.append(
            fill(
                track.frames[part],
                track.keypoints[part],
                track.scores[part],
                gaps,
                parents,
            )
        )
    for before, after in itertools.pairwise(clips):
        notes.append(
            f'{name} is not seen in frames {before.frames[-1] + 1} to '
            f'{after.first - 1}; before and after are lifted on their own'
        )
    filled = sum(int(clip.filled.sum()) for clip in clips)
    if filled:
        notes.append(
            f'{name}: {_count(filled, "frame")} without detection interpolated'
        )
    alone = sum(
        int((clip.filled_joints & ~clip.filled[:, None]).sum()) for clip in clips
    )
    if alone:
        notes.append(
            f'{name}: {_count(alone, "joint")} missing or below confidence '
            f'{gaps.min_score:g} filled in'
        )
    return clips, notes


def fill(
    frames: NDArray[np.int64],
    keypoints: NDArray[np.float32],
    scores: NDArray[np.float32],
    gaps: Gaps,
    parents: Sequence[int],
) -> Clip:
    """Fills in the frames and joints that are missing.

    Args:
        frames: ``(T,)`` numbers of the frames, strictly increasing.
        keypoints: ``(T, J, 2)`` pixels; NaN for a missing joint.
        scores: ``(T, J)``.
        gaps: What to fill.
        parents: As for :func:`clips_of`.

    Returns:
        All frames from the first to the last. What was found is unchanged. A run
        of missing joints is interpolated linearly between its neighbours in time,
        or stands still at the ends of the clip.
    """
    length = int(frames[-1] - frames[0]) + 1
    rows = frames - frames[0]
    points = np.full((length, *keypoints.shape[1:]), np.nan, np.float32)
    confidence = np.zeros(points.shape[:2], np.float32)
    points[rows], confidence[rows] = keypoints, scores
    found = np.isfinite(points).all(-1) & (confidence > 0)
    confidence[~found] = 0
    points[~found] = np.nan
    good = found & (confidence >= gaps.min_score)
    keep = good.copy()
    for joint in range(points.shape[1]):
        longest = gaps.max_gap if good[:, joint].any() else 0
        keep[:, joint] |= found[:, joint] & _long_runs(~good[:, joint], longest)
        _interpolate(points[:, joint], keep[:, joint])
    borrow(points, np.atleast_1d(keep.any(axis=0)), parents)
    return Clip(
        first=int(frames[0]),
        keypoints=points,
        scores=confidence,
        filled=np.logical_not(found.any(axis=1)),
        filled_joints=~keep,
    )


def _long_runs(missing: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """What of ``missing`` belongs to runs longer than ``longest``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(int), [0]])))
    long = np.zeros_like(missing)
    for start, stop in edges.reshape(-1, 2):
        long[start:stop] = stop - start > longest
    return long


def _interpolate(points: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
    """Fills rows of ``(T, 2)`` in place; nothing if none is known."""
    if known.all() or not known.any():
        return
    times = np.arange(len(points))
    for axis in range(points.shape[1]):
        points[~known, axis] = np.interp(
            times[~known], times[known], points[known, axis]
        )


def borrow(
    points: NDArray[np.float32], known: NDArray[np.bool_], parents: Sequence[int]
) -> None:
    """Puts joints that are nowhere in a clip onto their nearest relatives.

    Args:
        points: ``(T, J, 2)``, changed in place.
        known: ``(J,)``: joints that are there; at least one.
        parents: Parent of each joint, -1 for the root.
    """
    placed = known.copy()
    pending = [joint for joint in range(len(parents)) if not placed[joint]]
    while pending:
        left = []
        for joint in pending:
            relatives = [parents[joint], *_children(joint, parents)]
            source = next((r for r in relatives if r >= 0 and placed[r]), None)
            if source is None:
                left.append(joint)
                continue
            points[:, joint] = points[:, source]
            placed[joint] = True
        pending = left


def _children(joint: int, parents: Sequence[int]) -> list[int]:
    return [child for child, parent in enumerate(parents) if parent == joint]


def _count(number: int, what: str) -> str:
    return f'{number} {what}{"" if number == 1 else "s"}'
