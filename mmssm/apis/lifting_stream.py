"""Lifting people while a video is still coming, with a bound on how late."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmssm.structures import h36m

from .gaps import Clip, Gaps, fill
from .streaming import StreamingLifter
from .windows import CrossFade, Windows


class LiftedPerson(NamedTuple):
    """One person in one frame, before it is placed.

    Attributes:
        track_id: Number of the person.
        clip: What was lifted, a :class:`~mmssm.apis.gaps.Clip` of one frame.
        keypoints_3d: ``(1, J, 3)`` metres, relative to the root.
    """

    track_id: int
    clip: Clip
    keypoints_3d: NDArray[np.float32]


Lift = Callable[[NDArray], NDArray]
"""From ``(N, T, J, 3)`` pixels and confidence to ``(N, T, J, 3)`` metres."""


@dataclass
class _Seen:
    """The last detections of a person."""

    frames: deque[int] = field(default_factory=deque)
    keypoints: deque[NDArray] = field(default_factory=deque)
    scores: deque[NDArray] = field(default_factory=deque)

    def add(self, frame: int, keypoints: NDArray, scores: NDArray) -> None:
        self.frames.append(frame)
        self.keypoints.append(keypoints)
        self.scores.append(scores)

    def forget_before(self, frame: int) -> None:
        while len(self.frames) > 1 and self.frames[1] <= frame:
            for column in (self.frames, self.keypoints, self.scores):
                column.popleft()

    def clip(self, gaps: Gaps, parents: Sequence[int]) -> Clip:
        return fill(
            np.array(self.frames),
            np.stack(list(self.keypoints)),
            np.stack(list(self.scores)),
            gaps,
            parents,
        )


class BlendedPerson:
    """Lifts a person in windows that overlap, as for a whole video.

    What comes out is what :func:`mmssm.apis.windows.lift_windows` makes of the whole
    track, but that a gap which reaches beyond a window is filled from what is known
    by then. A frame comes out when the window after it has come, two windows less
    their overlap later at most.

    Args:
        track_id: Number of the person.
        windows: How the track is cut.
        gaps: What to fill.
        parents: Parent of each joint.
    """

    def __init__(
        self, track_id: int, windows: Windows, gaps: Gaps, parents: Sequence[int]
    ) -> None:
        self.track_id = track_id
        self._windows, self._gaps, self._parents = windows, gaps, parents
        self._seen = _Seen()
        self._blend = CrossFade(windows)
        self._next_window = -1
        self._end = -1
        self.waiting_from = -1
        self.last = -1

    def add(self, frame: int, keypoints: NDArray, scores: NDArray) -> None:
        """Takes a detection; frames must come in order."""
        if self.last < 0:
            self.waiting_from = self._next_window = frame
        self._seen.add(frame, keypoints, scores)
        self.last = frame

    def advance(self, lift: Lift) -> Iterator[LiftedPerson]:
        """Yields the frames that became final."""
        while self.last >= self._next_window + self._windows.length - 1:
            start = self._next_window
            yield from self._take(lift, start, start + self._windows.length)
            self._next_window = start + self._windows.step
            self._seen.forget_before(start - self._gaps.max_gap)

    def finish(self, lift: Lift) -> Iterator[LiftedPerson]:
        """Yields the frames that are left; nothing more may be added."""
        if self._end <= self.last:
            start = max(self.waiting_from, self.last + 1 - self._windows.length)
            yield from self._take(lift, start, self.last + 1)
        clip = self._seen.clip(self._gaps, self._parents)
        yield from self._people(clip, self._blend.finish())

    def _take(self, lift: Lift, start: int, end: int) -> Iterator[LiftedPerson]:
        clip = self._seen.clip(self._gaps, self._parents)
        part = clip.network_input[start - clip.first : end - clip.first]
        done = self._blend.push(start, lift(part[None])[0])
        self._end = end
        yield from self._people(clip, done)

    def _people(self, clip: Clip, joints: NDArray) -> Iterator[LiftedPerson]:
        for pose in joints:
            row = self.waiting_from - clip.first
            self.waiting_from += 1
            yield LiftedPerson(self.track_id, clip.row(row), pose[None])


class PromptPerson:
    """Lifts a person anew in every frame, to be a fixed number of frames late.

    Args:
        track_id: Number of the person.
        windows: How long a window is.
        gaps: What to fill.
        parents: Parent of each joint.
    """

    def __init__(
        self, track_id: int, windows: Windows, gaps: Gaps, parents: Sequence[int]
    ) -> None:
        self.track_id = track_id
        self._windows, self._gaps, self._parents = windows, gaps, parents
        self._seen = _Seen()
        self._clip: Clip | None = None
        self._joints: NDArray | None = None
        self.last = -1

    def add(self, frame: int, keypoints: NDArray, scores: NDArray) -> None:
        """Takes a detection; frames must come in order."""
        self._seen.add(frame, keypoints, scores)
        self._seen.forget_before(frame - self._windows.length - self._gaps.max_gap)
        self.last = frame

    def window(self) -> NDArray:
        """What is to be lifted ``(T, J, 3)``: the last frames."""
        self._clip = self._seen.clip(self._gaps, self._parents)
        return self._clip.network_input[-self._windows.length :]

    def take(self, joints: NDArray) -> None:
        """Takes what was made of :meth:`window`, ``(T, J, 3)``."""
        self._joints = joints

    def at(self, frame: int) -> LiftedPerson | None:
        """The person in a frame; None before the first and after the last."""
        if self._clip is None or self._joints is None or frame > self.last:
            return None
        row = frame - self.last - 1
        if -row > len(self._joints):
            return None
        clip = self._clip.row(len(self._clip) + row)
        return LiftedPerson(self.track_id, clip, self._joints[row][None])


Detection = tuple[int, NDArray, NDArray]
"""Number of the person, keypoints ``(J, 2)``, scores ``(J,)``."""


def stream_blended(
    frames: Iterable[tuple[int, list[Detection]]],
    lift: Lift,
    windows: Windows,
    gaps: Gaps,
    parents: Sequence[int],
) -> Iterator[tuple[int, list[LiftedPerson]]]:
    """Lifts people as frames come, with windows that are cross-faded.

    Args:
        frames: Numbers of frames, in order without gaps, and who is seen in each.
        lift: The lifter.
        windows: How tracks are cut.
        gaps: What to fill; a person missing for longer is begun anew.
        parents: Parent of each joint.

    Yields:
        Numbers of frames, in order, and the people in them.
    """
    people: dict[int, BlendedPerson] = {}
    ready: dict[int, list[LiftedPerson]] = {}

    def collect(done: Iterator[LiftedPerson]) -> None:
        for one in done:
            ready.setdefault(one.clip.first, []).append(one)

    next_out, number = 0, -1
    for number, detections in frames:
        for person in _gone(people, number, gaps):
            collect(person.finish(lift))
        for track_id, keypoints, scores in detections:
            if track_id not in people:
                people[track_id] = BlendedPerson(track_id, windows, gaps, parents)
            people[track_id].add(number, keypoints, scores)
            collect(people[track_id].advance(lift))
        final = min([p.waiting_from for p in people.values()], default=number + 1)
        for frame in range(next_out, final):
            yield frame, _by_id(ready.pop(frame, []))
        next_out = max(next_out, final)
    for person in people.values():
        collect(person.finish(lift))
    for frame in range(next_out, number + 1):
        yield frame, _by_id(ready.pop(frame, []))


def stream_prompt(
    frames: Iterable[tuple[int, list[Detection]]],
    lift: Lift,
    windows: Windows,
    gaps: Gaps,
    parents: Sequence[int],
    latency: int,
) -> Iterator[tuple[int, list[LiftedPerson]]]:
    """Lifts people as frames come, each frame a fixed number of frames late.

    Every frame costs one window of each person who is seen in it; those of several
    people are lifted at once. Who is missing in a frame when it is given out, and
    has not come back by then, is not in it.

    Args:
        frames: As in :func:`stream_blended`.
        lift: The lifter.
        windows: How long a window is; the overlap does not matter.
        gaps: What to fill; a person missing for longer is begun anew.
        parents: Parent of each joint.
        latency: How many frames behind the newest one results are given out: so
            many frames of the future a result has seen.

    Yields:
        Numbers of frames, in order, and the people in them.
    """
    people: dict[int, PromptPerson] = {}
    number, begun = -1, 0
    for number, detections in frames:
        # who is gone has given out all frames, unless these wait for longer
        _gone(people, number, replace(gaps, max_gap=max(gaps.max_gap, latency)))
        for track_id, keypoints, scores in detections:
            person = people.get(track_id)
            if person is None or number - person.last > gaps.max_gap + 1:
                people[track_id] = PromptPerson(track_id, windows, gaps, parents)
            people[track_id].add(number, keypoints, scores)
        _lift_together([people[one[0]] for one in detections], lift)
        if number - latency >= 0:
            yield number - latency, _people_at(people, number - latency)
            begun = number - latency + 1
    for frame in range(begun, number + 1):
        yield frame, _people_at(people, frame)


def stream_steps(
    frames: Iterable[tuple[int, list[Detection]]], begin: Callable[[], StreamingLifter]
) -> Iterator[tuple[int, list[LiftedPerson]]]:
    """Lifts people as frames come with a causal model, by one step for each of them.

    Who is missing in a frame is not in it, and goes on as if standing still; who is
    missing for longer than the lifter's ``max_gap`` is begun anew.

    Args:
        frames: As in :func:`stream_blended`.
        begin: Makes a lifter of one person.

    Yields:
        Numbers of frames, in order, and the people in them.
    """
    people: dict[int, StreamingLifter] = {}
    for number, detections in frames:
        lifted = []
        for track_id, keypoints, scores in detections:
            if track_id not in people:
                people[track_id] = begin()
            poses = people[track_id].step(keypoints[None], scores[None])
            clip = Clip(
                number,
                poses.keypoints,
                np.where(np.isfinite(keypoints).all(-1), scores, 0)[None],
                np.array([False]),
                poses.filled_joints,
            )
            lifted.append(LiftedPerson(track_id, clip, poses.keypoints_3d))
        for track_id in people.keys() - {one.track_id for one in lifted}:
            poses = people[track_id].step(np.full((1, h36m.NUM_JOINTS, 2), np.nan))
            if np.isnan(poses.keypoints_3d).all():
                del people[track_id]
        yield number, _by_id(lifted)


def _gone(people: dict[int, Any], number: int, gaps: Gaps) -> list[Any]:
    """Takes those out who cannot come back as the same piece of a track."""
    gone = [key for key, p in people.items() if number - p.last > gaps.max_gap + 1]
    return [people.pop(key) for key in gone]


def _lift_together(people: Sequence[PromptPerson], lift: Lift) -> None:
    by_length: dict[int, list[tuple[PromptPerson, NDArray]]] = {}
    for person in people:
        window = person.window()
        by_length.setdefault(len(window), []).append((person, window))
    for group in by_length.values():
        lifted = lift(np.stack([window for _, window in group]))
        for (person, _), joints in zip(group, lifted, strict=True):
            person.take(joints)


def _people_at(people: dict[int, PromptPerson], frame: int) -> list[LiftedPerson]:
    found = [person.at(frame) for person in people.values()]
    return _by_id([person for person in found if person is not None])


def _by_id(people: list[LiftedPerson]) -> list[LiftedPerson]:
    return sorted(people, key=lambda person: person.track_id)
