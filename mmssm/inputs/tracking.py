"""Following people through a clip: who in this frame was who in the last one."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mmssm.inputs.people import People, overlaps
from mmssm.structures.tracks import KeypointTrack

_TOLERANCE = 0.12
"""Distance of a joint that is forgiven, in diagonals of the box. COCO measures by the
root of the area, which vanishes for someone who is seen from the side with joints in a
line; for a box of usual proportions this is twice COCO's tolerance at the hips."""

_FEW_JOINTS = 3
_IMPOSSIBLE = 1e3


@dataclass
class _Person:
    """Someone who is being followed."""

    track_id: int
    frame: int
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    bbox: NDArray[np.float32]
    velocity: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(2, np.float32)
    )
    has_moved: bool = False

    def shift(self, frame: int) -> NDArray[np.float32]:
        """How far they should have got until a frame, ``(2,)`` pixels."""
        return self.velocity * (frame - self.frame)

    def follow(
        self, frame: int, keypoints: NDArray, scores: NDArray, bbox: NDArray
    ) -> None:
        """Takes over what a frame shows of them."""
        common = (self.scores > 0) & (scores > 0)
        if common.any():
            moved = np.median(keypoints[common] - self.keypoints[common], axis=0)
        else:
            moved = (bbox[:2] + bbox[2:] - self.bbox[:2] - self.bbox[2:]) / 2
        speed = np.asarray(moved / (frame - self.frame), np.float32)
        # half of the old speed stays: detections jitter
        if self.has_moved:
            speed = np.asarray((self.velocity + speed) / 2, np.float32)
        self.velocity = speed
        self.has_moved = True
        self.frame, self.bbox = frame, bbox
        self.keypoints, self.scores = keypoints, scores


class PersonTracker:
    """Gives the people of each frame the numbers that they had before.

    Everybody is expected where a constant velocity would have brought them. People
    and expectations are paired so that the sum of similarities is greatest (the
    Hungarian method, SciPy's ``linear_sum_assignment``); a similarity is COCO's object
    keypoint similarity with one tolerance for all joints, or the overlap of the boxes
    where fewer than three joints are in common.

    A person who is not found is waited for; the track ends after ``max_gap`` frames, or
    at once if they should have left the picture. Whoever comes back later is someone
    new. Numbers are never used again.

    Args:
        image_size: ``(width, height)`` in pixels.
        max_gap: Most frames in a row in which a person may be missing.
        min_similarity: Least similarity of a pair, in (0, 1). With less, people who
            come out from behind others are taken for one another more often; with more,
            those who turn or stop are lost more often.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        max_gap: int = 15,
        min_similarity: float = 0.3,
    ) -> None:
        if max_gap < 0:
            raise ValueError(f'max_gap must not be negative, got {max_gap}')
        if not 0 < min_similarity < 1:
            raise ValueError(
                f'min_similarity must lie between 0 and 1, got {min_similarity}'
            )
        self.image_size = image_size
        self.max_gap = max_gap
        self.min_similarity = min_similarity
        self._people: list[_Person] = []
        self._next_id = 0
        self._frame = -1

    def update(self, frame: int, found: People) -> NDArray[np.int64]:
        """Numbers the people of the next frame.

        Args:
            frame: Its number, greater than that of the call before.
            found: Who is in it.

        Returns:
            ``(P,)`` numbers of the people in ``found``.

        Raises:
            ValueError: Frames go back.
        """
        if frame <= self._frame:
            raise ValueError(
                f'frames must come in order: {frame} came after {self._frame}'
            )
        self._frame = frame
        self._people = [one for one in self._people if self._is_awaited(one, frame)]
        scores = np.where(np.isfinite(found.keypoints).all(-1), found.scores, 0)
        numbers = np.full(len(found), -1, np.int64)
        for person, index in self._pairs(frame, found.keypoints, scores, found.bboxes):
            person.follow(
                frame, found.keypoints[index], scores[index], found.bboxes[index]
            )
            numbers[index] = person.track_id
        for index in np.flatnonzero(numbers < 0).tolist():
            numbers[index] = self._next_id
            self._people.append(
                _Person(
                    self._next_id,
                    frame,
                    found.keypoints[index],
                    scores[index],
                    found.bboxes[index],
                )
            )
            self._next_id += 1
        return numbers

    def _is_awaited(self, person: _Person, frame: int) -> bool:
        missed = frame - person.frame - 1
        if missed > self.max_gap:
            return False
        if not missed:
            return True
        # where they should have been in the frame before, in which they were not
        center = (person.bbox[:2] + person.bbox[2:]) / 2 + person.shift(frame - 1)
        return bool(((center >= 0) & (center < self.image_size)).all())

    def _pairs(
        self, frame: int, keypoints: NDArray, scores: NDArray, bboxes: NDArray
    ) -> list[tuple[_Person, int]]:
        if not self._people or not len(keypoints):
            return []
        similarity = np.stack(
            [
                _similarity(person, frame, keypoints, scores, bboxes)
                for person in self._people
            ]
        )
        possible = similarity >= self.min_similarity
        cost = np.where(possible, 1 - similarity, _IMPOSSIBLE)
        rows, columns = linear_sum_assignment(cost)
        return [
            (self._people[row], int(column))
            for row, column in zip(rows, columns, strict=True)
            if possible[row, column]
        ]


def _similarity(
    person: _Person, frame: int, keypoints: NDArray, scores: NDArray, bboxes: NDArray
) -> NDArray[np.float64]:
    """Similarity of a person to each one found, ``(P,)`` in [0, 1]."""
    shift = person.shift(frame)
    box = person.bbox + np.tile(shift, 2)
    overlap = overlaps(box[None], bboxes)[0].astype(np.float64)
    common = (person.scores > 0) & (scores > 0)
    distance = np.linalg.norm(keypoints - (person.keypoints + shift), axis=-1)
    diagonals = np.linalg.norm(bboxes[:, 2:] - bboxes[:, :2], axis=-1)
    own = np.linalg.norm(box[2:] - box[:2])
    reach = _TOLERANCE * np.maximum((diagonals + own) / 2, 1)
    likeness = np.exp(-0.5 * (np.where(common, distance, 0) / reach[:, None]) ** 2)
    count = common.sum(1)
    mean = (likeness * common).sum(1) / np.maximum(count, 1)
    return np.where(count >= _FEW_JOINTS, mean, overlap)


class TrackBuilder:
    """Collects people, frame by frame, into tracks."""

    def __init__(self) -> None:
        self._rows: dict[int, list[tuple[int, NDArray, NDArray, NDArray]]] = {}

    def add(self, frame: int, found: People, numbers: NDArray) -> None:
        """Adds the people of a frame under their numbers."""
        for index, number in enumerate(numbers.tolist()):
            self._rows.setdefault(number, []).append(
                (
                    frame,
                    found.keypoints[index],
                    found.scores[index],
                    found.bboxes[index],
                )
            )

    def tracks(self) -> list[KeypointTrack]:
        """The tracks, by number."""
        return [
            KeypointTrack(
                number,
                np.array([row[0] for row in rows], np.int64),
                np.stack([row[1] for row in rows]),
                np.stack([row[2] for row in rows]),
                np.stack([row[3] for row in rows]),
            )
            for number, rows in sorted(self._rows.items())
        ]


def track_people(
    frames: dict[int, People], image_size: tuple[int, int], max_gap: int = 15
) -> list[KeypointTrack]:
    """Follows people through frames that are all known.

    Args:
        frames: The people of each frame, by its number.
        image_size: ``(width, height)`` in pixels.
        max_gap: Most frames in a row in which a person may be missing.

    Returns:
        One track per person.
    """
    tracker, builder = PersonTracker(image_size, max_gap), TrackBuilder()
    for frame, found in sorted(frames.items()):
        builder.add(frame, found, tracker.update(frame, found))
    return builder.tracks()
