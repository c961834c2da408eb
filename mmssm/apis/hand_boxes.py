"""Where hands are: boxes that are given, or what finds them."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mmssm.utils.errors import UserError

SIDES = ('right', 'left')


class FoundHands(NamedTuple):
    """The hands of one image.

    Attributes:
        bboxes: ``(N, 4)`` float32, ``(x0, y0, x1, y1)`` about the joints of each,
            pixels.
        sides: ``'right'`` or ``'left'`` of each.
    """

    bboxes: NDArray[np.float32]
    sides: tuple[str, ...]


NO_HANDS = FoundHands(np.zeros((0, 4), np.float32), ())


class Hands(Protocol):
    """What is found in an image: :class:`FoundHands`, ``HandBoxes`` of a front end."""

    @property
    def bboxes(self) -> NDArray[np.float32]: ...
    @property
    def sides(self) -> tuple[str, ...]: ...


class HandFinder(Protocol):
    """Finds hands; a ``name``, if there is one, is printed."""

    def __call__(self, image: NDArray[np.uint8], /) -> Hands:
        """Finds the hands of a BGR image ``(H, W, 3)``."""


def make_finder(name: str, mirrored: bool = False, max_hands: int = 2) -> HandFinder:
    """Makes what finds hands by its name.

    Args:
        name: ``'mediapipe'``: MediaPipe's networks for palms and hands.
        mirrored: Whether pictures are mirrored, as selfie cameras show them.
        max_hands: How many hands of an image are looked at.

    Raises:
        UserError: There is no such front end, or its networks are not here.
    """
    if name != 'mediapipe':
        near = difflib.get_close_matches(name, ['mediapipe'])
        hint = f'did you mean {near[0]!r}? ' if near else ''
        raise UserError(
            f"there is no front end {name!r} for hands; {hint}'mediapipe' is one, "
            'and any function from a BGR image to FoundHands serves in Python'
        )
    from mmssm.inputs import MediapipeHands

    try:
        return MediapipeHands.load(max_hands=max_hands, mirrored=mirrored)
    except UserError as error:
        raise UserError(
            'no boxes were given, so that hands must be looked for: '
            f'{str(error).rstrip(".")}. Or give the boxes of the hands (bboxes=, '
            '--bbox x0 y0 x1 y1), or name a detector of MMDetection (--det-config, '
            '--det-checkpoint)'
        ) from error


class GivenHands:
    """Boxes that the caller knows, for all frames or for each of them.

    Args:
        bboxes: ``(4,)`` or ``(N, 4)`` for all frames; a sequence with one ``(N, 4)``
            for each frame; or a mapping from frame numbers to them (frames that are
            not in it have no hand).
        sides: One side for all; ``N`` of them for all frames; or a sequence or
            mapping of them in the form of ``bboxes``. None: right.

    Raises:
        ValueError: A box has not four numbers, or sides do not fit the boxes.
    """

    def __init__(self, bboxes: Any, sides: Any = None) -> None:
        self._always: FoundHands | None = None
        self._frames: dict[int, FoundHands] = {}
        self._num_frames: int | None = None
        if not isinstance(bboxes, Mapping):
            if not _is_per_frame(bboxes):
                self._always = _hands(bboxes, sides, 'bboxes')
                return
            self._num_frames = len(bboxes)
            sides = _by_frame(sides, len(bboxes))
            bboxes = dict(enumerate(bboxes))
        if isinstance(sides, Mapping):
            sides = _numbered(sides)
        self._frames = {
            number: _hands(own, _side_of(sides, number), f'frame {number}')
            for number, own in _numbered(bboxes).items()
        }

    def check(self, num_frames: int, name: str) -> None:
        """Refuses boxes of frames that a source does not have.

        Args:
            num_frames: How many it has.
            name: What it is called in the message.

        Raises:
            ValueError: There are such boxes.
        """
        if self._num_frames not in (None, num_frames):
            raise ValueError(
                f'there are boxes of {self._num_frames} frames, and {name} has '
                f'{num_frames}'
            )
        wrong = [number for number in self._frames if number >= num_frames]
        if wrong:
            raise ValueError(
                f'there are boxes of frame {wrong[0]}, and {name} has the frames 0 to '
                f'{num_frames - 1}'
            )

    def of(self, number: int) -> FoundHands:
        """The hands of a frame."""
        if self._always is not None:
            return self._always
        return self._frames.get(number, NO_HANDS)


def _is_per_frame(bboxes: Any) -> bool:
    """Whether it is nested once more than boxes are."""
    if isinstance(bboxes, np.ndarray):
        return bboxes.ndim == 3
    if not isinstance(bboxes, Sequence) or not len(bboxes):
        return False
    return any(map(_is_boxes, bboxes)) or all(not np.size(own) for own in bboxes)


def _is_boxes(own: Any) -> bool:
    is_list = isinstance(own, Sequence | np.ndarray)
    return is_list and len(own) > 0 and np.ndim(own[0]) == 1


def _numbered(frames: Mapping) -> dict[int, Any]:
    """With whole numbers for keys, which JSON makes strings of."""
    wrong = [key for key in frames if not str(key).isdecimal()]
    if wrong:
        raise ValueError(f'frames are numbered from 0, got {wrong[0]!r}')
    return {int(key): value for key, value in frames.items()}


def _by_frame(sides: Any, count: int) -> Any:
    """Sides that were given in the order of frames, by their frames' numbers."""
    if sides is None or isinstance(sides, str | Mapping):
        return sides
    if len(sides) != count:
        raise ValueError(
            f'there are boxes of {count} frames, and sides of {len(sides)}'
        )
    return dict(enumerate(sides))


def _side_of(sides: Any, number: int) -> Any:
    if not isinstance(sides, Mapping):
        return sides
    if number not in sides:
        raise ValueError(f'there are boxes of frame {number}, and no side of them')
    return sides[number]


def _hands(bboxes: Any, sides: Any, name: str) -> FoundHands:
    try:
        boxes = np.asarray(bboxes, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'{name}: a box is four numbers (x0, y0, x1, y1): {error}'
        ) from error
    if boxes.ndim == 1 and boxes.size in (0, 4):
        boxes = boxes.reshape(-1, 4)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f'{name}: boxes must have shape (N, 4), (x0, y0, x1, y1) in pixels, got '
            f'{boxes.shape}'
        )
    return FoundHands(boxes, _sides(sides, len(boxes), name))


def _sides(sides: Any, count: int, name: str) -> tuple[str, ...]:
    if sides is None or isinstance(sides, str):
        sides = [sides or 'right'] * count
    sides = np.ravel(sides).tolist()
    if len(sides) != count:
        raise ValueError(f'{name}: {count} boxes, and {len(sides)} sides')
    wrong = [side for side in sides if side not in SIDES]
    if wrong:
        raise ValueError(
            f"{name}: a side is 'right' or 'left', got {wrong[0]!r}; for sides that "
            'differ from frame to frame, boxes too must be given for each frame'
        )
    return tuple(sides)


class DetectedHands:
    """Hands found by a detector of MMDetection; it does not tell sides.

    Args:
        config: Its config file.
        checkpoint: Its weights.
        category: Number of the hands' class.
        score: Least score.
        side: Which hands they are taken for.
        device: Where it runs.

    Raises:
        UserError: MMDetection cannot be imported.
    """

    def __init__(
        self,
        config: str,
        checkpoint: str,
        category: int = 0,
        score: float = 0.5,
        side: str = 'right',
        device: str = 'cpu',
    ) -> None:
        try:
            from mmdet.apis import inference_detector, init_detector
        except ImportError as error:
            raise UserError(
                f'a detector of hands needs mmdet, which cannot be imported ({error}): '
                'install MMDetection (make full; run this by .venv-full/bin/python), '
                'or give the boxes of the hands (--bbox x0 y0 x1 y1)'
            ) from error
        self.name = f'MMDetection ({config}), which tells no sides: {side} is assumed'
        self._network = init_detector(config, checkpoint, device=device)
        self._detect = inference_detector
        self._category, self._score, self._side = category, score, side

    def __call__(self, image: NDArray[np.uint8]) -> FoundHands:
        """Finds the hands of a BGR image."""
        found = self._detect(self._network, image).pred_instances.cpu().numpy()
        good = (found.labels == self._category) & (found.scores > self._score)
        return _hands(found.bboxes[good], self._side, 'detector')
