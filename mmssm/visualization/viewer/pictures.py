"""Frames of a video as JPEGs of bounded size."""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike

import cv2
import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.frames import open_frames

Frames = Iterable[tuple[int, NDArray[np.uint8]]]
"""Frame numbers, increasing, and images ``(H, W, 3)`` BGR."""

Video = Frames | str | PathLike
"""Frames, or the path of what has them."""

LEVELS = (
    *((720, 80), (720, 65), (640, 65), (640, 50), (560, 50), (480, 50), (480, 40)),
    *((420, 40), (360, 45), (360, 35), (320, 35), (280, 35), (240, 35)),
)
"""Longest edge in pixels and JPEG quality, from the best to the least.

Each takes about a fifth less than the one before, so that little room is wasted.
"""

_LEAST_BYTES = 9000
"""Frames are left out rather than that a picture has less room than this."""


@dataclass
class PictureStrip:
    """Encodes the frames of a video one by one, within a number of bytes.

    Every picture may use its share of what is left. When one does not fit, it and
    all after it are made smaller; none fits the smallest level: it is left out. So
    the size is bounded whatever the video shows, and nothing is read twice.

    Attributes:
        count: How many frames the video has.
        budget: Bytes of base64 that all pictures may use.
        size: Width and height that frames must have, or None for any.
        stride: Every so many frames one is kept, so that each has enough room.
        frames: Numbers of the frames kept, as they are encoded.
        sizes: Width and height of those frames in the video.
        left_out: How many of the frames that should be kept were not.
        edge: Longest edge of the smallest picture so far, pixels.
    """

    count: int
    budget: float
    size: tuple[int, int] | None = None
    stride: int = 1
    frames: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    left_out: int = 0
    edge: int = 0

    def __post_init__(self) -> None:
        room = _base64_length(_LEAST_BYTES)
        self.stride *= max(1, -(-self.count * room // (self.stride * int(self.budget))))
        self._level = 0
        self._used = 0

    def encode(self, frames: Frames) -> Iterator[str]:
        """Yields a base64 text for every picture.

        Args:
            frames: The video; what comes after frame ``count - 1`` is not read.

        Raises:
            ValueError: An image is none, or of another size.
        """
        for number, image in frames:
            if number >= self.count:
                return
            check_image(number, image, self.size)
            if number % self.stride:
                continue
            text = self._fitting(image, self._share(number))
            if text is None:
                self.left_out += 1
                continue
            self.frames.append(number)
            self.sizes.append((image.shape[1], image.shape[0]))
            self._used += len(text) + 1
            yield text

    def notes(self) -> list[str]:
        """What was done to the pictures, for the reader."""
        edge = f'at most {self.edge} pixels wide or high' if self.edge else 'none'
        kept = len(self.frames)
        notes = [f'Frames with a picture: {kept} of {self.count}, JPEG, {edge}.']
        if self.stride > 1:
            notes.append(
                f'To bound the size of the page, one frame in {self.stride} has a '
                'picture; joints are of every frame.'
            )
        if self.left_out:
            notes.append(f'Pictures left out, being too large: {self.left_out}.')
        expected = len(range(0, self.count, self.stride))
        missing = expected - len(self.frames) - self.left_out
        if missing > 0:
            last = self.frames[-1] if self.frames else 'none'
            notes.append(
                f'Pictures missing: {missing}. The video holds fewer frames than the '
                f'result (last picture: frame {last}).'
            )
        return notes

    def _share(self, number: int) -> float:
        """Bytes that this picture may use: its part of what is left."""
        left = len(range(number, self.count, self.stride))
        return (self.budget - self._used) / max(left, 1)

    def _fitting(self, image: NDArray[np.uint8], share: float) -> str | None:
        for level in range(self._level, len(LEVELS)):
            edge, quality = LEVELS[level]
            small = shrink(image, edge)
            data = cv2.imencode('.jpg', small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            if _base64_length(data.size) < share:
                self._level = level
                self.edge = min(self.edge or edge, max(small.shape[:2]))
                return base64.b64encode(data.tobytes()).decode()
        return None


def read_frames(video: Video) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields the frames of a video, one in memory at a time.

    Raises:
        mmssm.inputs.frames.UnreadableSource: It is a path that cannot be read.
    """
    if isinstance(video, str | PathLike):
        with open_frames(video) as frames:
            yield from frames
    else:
        yield from video


def check_image(
    number: int, image: NDArray[np.uint8], size: tuple[int, int] | None
) -> None:
    """Refuses what is no frame of the video of a result.

    Args:
        number: Its number, for the message.
        image: What should be one.
        size: Width and height of the result's images, or None for any.

    Raises:
        ValueError: It is no BGR image, or of another size.
    """
    shape = getattr(image, 'shape', None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f'frame {number} of the video must be a BGR image (H, W, 3) of uint8, got '
            f'{type(image).__name__} of shape {shape}'
        )
    if size is not None and (shape[1], shape[0]) != tuple(size):
        raise ValueError(
            f'frame {number} of the video has {shape[1]} x {shape[0]} pixels, the '
            f'result is of {size[0]} x {size[1]}: it is another video, or a scaled one'
        )


def shrink(image: NDArray[np.uint8], edge: int) -> NDArray[np.uint8]:
    """The image with its longest edge at most ``edge`` pixels, never enlarged."""
    height, width = image.shape[:2]
    scale = edge / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _base64_length(count: int) -> int:
    return 4 * -(-count // 3)
