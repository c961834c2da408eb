"""MediaPipe's two stages for hands: palms, then 21 landmarks and the side.

The arithmetic between the networks follows the graphs of MediaPipe's
``hand_landmark_tracking_cpu`` for still images and Zhang et al., MediaPipe Hands,
2020: the palm detector finds palms and seven points on each, the square around the
hand is turned so that the middle finger points up and cut, and the landmark network
finds 21 points in it, says whether there is a hand, and which.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.frontends.network import Network, load_network
from mmssm.inputs.frontends.regions import Region, upright_angle, whole_image
from mmssm.inputs.frontends.ssd import decode, make_anchors, merge_doubles
from mmssm.inputs.people import bboxes_around
from mmssm.structures import hand

_DETECTOR_SIZE = 192
_STRIDES = (8, 16, 16, 16)
_LANDMARK_SIZE = 224
_WRIST, _MIDDLE_BASE = 0, 2
"""Points of the palm detector."""
_ENLARGED = 2.6
_SHIFT = 0.5
"""From the palm's centre to the hand's, upwards, in sides of the palm's box."""
_SAME_HAND = 0.15
"""Mean distance of joints, in diagonals of the box, below which two hands are one."""


@dataclass(frozen=True)
class HandBoxes:
    """The hands of one frame: where they are, and which.

    ``sides`` are the person's own: the right hand of a person who faces the camera is
    at the left of an ordinary picture. MediaPipe itself names the hands of *mirrored*
    pictures, as a selfie camera shows them, and calls a right hand in an ordinary
    picture "Left"; the front end turns that round. For pictures that are mirrored say
    ``mirrored=True`` there, or the names come out swapped.

    Attributes:
        frame: Number of the frame, from 0.
        bboxes: ``(N, 4)`` float32, ``(x0, y0, x1, y1)`` around the joints, pixels.
        sides: ``'right'`` or ``'left'`` for each hand.
        scores: ``(N,)`` float32: probability that there is a hand.
        side_scores: ``(N,)`` float32 in [0.5, 1]: probability of the side.
        keypoints: ``(N, 21, 2)`` float32, pixels, in the order ``'op21'``.
    """

    frame: int
    bboxes: NDArray[np.float32]
    sides: tuple[str, ...]
    scores: NDArray[np.float32]
    side_scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.sides)
        shapes = {
            'bboxes': (count, 4),
            'scores': (count,),
            'side_scores': (count,),
            'keypoints': (count, hand.NUM_JOINTS, 2),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f'{name} must be {shape} for {count} hands, got '
                    f'{getattr(self, name).shape}'
                )
        wrong = set(self.sides) - {'left', 'right'}
        if wrong:
            raise ValueError(f"sides must be 'left' or 'right', got {sorted(wrong)}")

    def __len__(self) -> int:
        return len(self.sides)


class MediapipeHands:
    """Finds hands, their sides and 21 joints with MediaPipe's networks.

    Every frame is looked at on its own.

    Args:
        detector: Network of the first stage.
        landmarks: Network of the second stage.
        max_hands: How many hands to look for.
        mirrored: Whether the pictures are mirrored, as selfie cameras show them.
        min_score: Least score of a palm, and least probability of a hand.
    """

    name = 'MediaPipe 0.10.14 hands (palm_detection_full, hand_landmark_full)'

    def __init__(
        self,
        detector: Network,
        landmarks: Network,
        max_hands: int = 2,
        mirrored: bool = False,
        min_score: float = 0.5,
    ) -> None:
        if max_hands < 1:
            raise ValueError(f'max_hands must be at least 1, got {max_hands}')
        if not 0 < min_score < 1:
            raise ValueError(f'min_score must lie between 0 and 1, got {min_score}')
        self.max_hands = max_hands
        self.mirrored = mirrored
        self.min_score = min_score
        self._detector = detector
        self._landmarks = landmarks
        self._anchors = make_anchors(_DETECTOR_SIZE, _STRIDES)

    @classmethod
    def load(
        cls,
        folder: str | PathLike | None = None,
        max_hands: int = 2,
        mirrored: bool = False,
    ) -> 'MediapipeHands':
        """Loads the networks.

        Args:
            folder: Where they are; default: the user's cache.
            max_hands: How many hands to look for.
            mirrored: Whether the pictures are mirrored.

        Raises:
            MissingPackage: LiteRT is not installed.
            ModelFileError: The networks have not been fetched, or are damaged.
        """
        return cls(
            load_network('palm_detection', folder),
            load_network('hand_landmark', folder),
            max_hands,
            mirrored,
        )

    def stream(
        self, frames: Iterable[tuple[int, NDArray[np.uint8]]]
    ) -> Iterator[HandBoxes]:
        """Finds the hands of every frame as it comes.

        Args:
            frames: Numbers and images, as of :func:`mmssm.inputs.open_frames`.
        """
        for number, image in frames:
            yield self(image, number)

    def __call__(self, image: NDArray[np.uint8], frame: int = 0) -> HandBoxes:
        """Finds the hands of an image.

        Args:
            image: ``(H, W, 3)`` BGR.
            frame: Its number.

        Returns:
            At most ``max_hands`` hands, the surest palm first.
        """
        found: list[tuple[NDArray, float, float]] = []
        for region in self.detect(image):
            joints, present, is_right = self._look(image, region)
            if present >= self.min_score and not _is_double(joints, found):
                found.append((joints, present, is_right))
        found = found[: self.max_hands]
        keypoints = np.array([one[0] for one in found], np.float32)
        keypoints = keypoints.reshape(len(found), hand.NUM_JOINTS, 2)
        right = np.array([one[2] for one in found], np.float32)
        return HandBoxes(
            frame,
            bboxes_around(keypoints, np.ones(keypoints.shape[:2])),
            tuple('right' if value >= 0.5 else 'left' for value in right),
            np.array([one[1] for one in found], np.float32),
            np.maximum(right, 1 - right),
            keypoints,
        )

    def detect(self, image: NDArray[np.uint8]) -> list[Region]:
        """The first stage alone: squares around hands, the surest first.

        Args:
            image: ``(H, W, 3)`` BGR.
        """
        square = whole_image(image)
        crop = square.cut(image, _DETECTOR_SIZE, repeat_border=False)
        boxes, logits = self._detector(crop)
        found = merge_doubles(
            decode(boxes, logits[:, 0], self._anchors, _DETECTOR_SIZE, self.min_score)
        )
        return [
            hand_region(box, points[_WRIST], points[_MIDDLE_BASE])
            for box, points in zip(
                square.to_image(found.bboxes.reshape(-1, 2, 2)).reshape(-1, 4),
                square.to_image(found.points),
                strict=True,
            )
        ]

    def _look(
        self, image: NDArray[np.uint8], region: Region
    ) -> tuple[NDArray[np.float32], float, float]:
        """The second stage: joints, probability of a hand, and of a right one."""
        crop = region.cut(image, _LANDMARK_SIZE, repeat_border=True)
        raw, present, handedness, _ = self._landmarks(crop)
        points = raw.reshape(hand.NUM_JOINTS, 3)[:, :2] / _LANDMARK_SIZE
        # the network's number is that of a hand called left in a mirrored picture
        right = float(handedness.reshape(-1)[0])
        if self.mirrored:
            right = 1 - right
        return region.to_image(points), float(present.reshape(-1)[0]), right


def hand_region(bbox: NDArray, wrist: NDArray, middle_base: NDArray) -> Region:
    """The square around a hand whose palm was found.

    Args:
        bbox: ``(4,)`` of the palm, ``(x0, y0, x1, y1)``, pixels.
        wrist: ``(2,)`` pixels.
        middle_base: ``(2,)``, base of the middle finger, pixels.

    Returns:
        2.6 times the palm's box, half a box further towards the fingers, and turned
        so that they point up.
    """
    low, high = np.asarray(bbox[:2], np.float64), np.asarray(bbox[2:], np.float64)
    angle = upright_angle(wrist, middle_base)
    shift = _SHIFT * float(high[1] - low[1])
    up = np.array([np.sin(angle), -np.cos(angle)])
    x, y = ((low + high) / 2 + shift * up).tolist()
    return Region((x, y), _ENLARGED * float((high - low).max()), angle)


def _is_double(keypoints: NDArray, found: list) -> bool:
    """Whether it is one of those found: joint by joint, for hands may be clasped."""
    reach = _SAME_HAND * np.linalg.norm(np.ptp(keypoints, axis=0))
    return any(
        np.linalg.norm(keypoints - other, axis=-1).mean() < reach for other, *_ in found
    )
