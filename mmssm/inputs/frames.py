"""Frames of images, folders, videos, cameras and arrays, all in one form."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from logging import WARNING
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import cv2
import numpy as np
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmssm.utils.errors import UserError
from mmssm.utils.image_files import MAX_PIXELS, UnreadableImage, check_image_file

Image: TypeAlias = NDArray[np.uint8]

DEFAULT_FPS = 25.0
"""Frames per second of what has no time of its own: images and arrays."""

IMAGE_SUFFIXES = frozenset(
    ['.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp']
)
"""What ends the name of an image, in small letters."""


class UnreadableSource(UserError, ValueError):
    """A source of frames that cannot be used."""


class MissingSource(UnreadableSource, FileNotFoundError):
    """A source of frames that does not exist."""


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Key that sorts ``frame_2`` before ``frame_10``."""
    parts = re.split(r'(\d+)', name)
    # digits stand at the odd places; the name breaks ties such as 01 and 1
    return [
        (int(part), '') if place % 2 else (-1, part) for place, part in enumerate(parts)
    ], name


class Frames(AbstractContextManager, ABC):
    """Numbered frames of one size; made by :func:`open_frames`.

    Iterating yields ``(number, image)``: numbers count from 0, images are
    ``(height, width, 3)`` uint8 in the order blue, green, red. Everything but a camera
    can be iterated again, from its first frame.

    Attributes:
        name: Short name, for titles and file names.
        image_size: ``(width, height)`` in pixels.
        fps: Frames per second.
        num_frames: Number of frames; None for streams. Of a video this is what its
            header says, if it does, until it has been read to its end; then what was
            decoded.
        notes: What was found amiss on the way, such as a video that ended early.
    """

    name: str
    image_size: tuple[int, int]
    fps: float
    num_frames: int | None

    def __init__(self) -> None:
        self.notes: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """Yields numbers and images from the first frame on."""

    def close(self) -> None:
        """Lets go of files and devices; nothing can be read afterwards."""
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _note(self, message: str) -> None:
        if message not in self.notes:
            self.notes.append(message)
            print_log(message, 'current', WARNING)


def open_frames(
    source: Any, *, fps: float | None = None, max_pixels: int = MAX_PIXELS
) -> Frames:
    """Opens anything that has frames.

    Args:
        source: One of

            - the path of an image;
            - the path of a folder of images of one size, read in natural order
              (``2.png`` before ``10.png``), other files in it left aside;
            - the path of a video, or the address of a stream (with ``://``);
            - the number of a camera, as int or as ``'webcam:0'``;
            - an image ``(height, width)`` or ``(height, width, 1, 3 or 4)`` uint8, a
              stack of them ``(T, height, width, 3)``, or a list of them: grey, BGR, or
              BGR and alpha.

            Grey images become BGR, alpha is dropped.
        fps: Frames per second, instead of those of the video or camera. Images and
            arrays have 25 if nothing is said.
        max_pixels: Pixels of the largest image that is decoded.

    Returns:
        The frames, a context manager.

    Raises:
        MissingSource: There is no such file or camera.
        UnreadableSource: It cannot be decoded, holds no frame, is too large, or its
            images differ in size; the message names the file. A ``ValueError``.
        TypeError: ``source`` is nothing of the above.
    """
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise UnreadableSource(f'fps must be positive, got {fps}')
    if isinstance(source, np.ndarray | list | tuple):
        return ArrayFrames(source, fps)
    if isinstance(source, bool) or not isinstance(source, str | PathLike | int):
        raise TypeError(
            'frames come from the path of an image, a folder or a video, the number '
            f'of a camera, or arrays; got {type(source).__name__}'
        )
    if isinstance(source, int):
        return Camera(source, fps, max_pixels)
    text = str(source)
    camera = re.fullmatch(r'webcam(?::(\d+))?', text.lower())
    if camera is not None and not Path(text).exists():
        return Camera(int(camera[1] or 0), fps, max_pixels)
    if '://' in text:
        return Camera(text, fps, max_pixels)
    return _open_path(Path(text), fps, max_pixels)


def _open_path(path: Path, fps: float | None, max_pixels: int) -> Frames:
    if path.is_dir():
        return ImageFrames(_images_in(path), path.name, fps, max_pixels)
    if not path.exists():
        raise MissingSource(
            f'{path} does not exist; give the path of an image, a folder of images or '
            'a video'
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFrames([path], path.name, fps, max_pixels)
    return VideoFrames(path, fps, max_pixels)


def _images_in(folder: Path) -> list[Path]:
    # hidden files are no pictures: macOS leaves ._1.jpg beside 1.jpg
    files = [
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith('.')
    ]
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        found = sorted(path.name for path in files)[:5]
        raise UnreadableSource(
            f'{folder} holds no image ({", ".join(sorted(IMAGE_SUFFIXES))}); found '
            f'{len(files)} files{": " + ", ".join(found) if found else ""}'
        )
    return sorted(images, key=lambda path: natural_order(path.name))


def read_image(path: str | PathLike, max_pixels: int = MAX_PIXELS) -> Image:
    """Reads one image, turned upright as its EXIF says.

    Args:
        path: The file.
        max_pixels: Pixels of the largest image that is decoded.

    Returns:
        ``(height, width, 3)`` BGR; grey is repeated, alpha is dropped, 16 bits
        become 8.

    Raises:
        UnreadableSource: It is missing, damaged or too large.
    """
    try:
        check_image_file(str(path), max_pixels)
    except UnreadableImage as error:
        raise UnreadableSource(f'image {path}: {error}') from error
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableSource(f'image {path} is damaged: it cannot be decoded')
    return image


class ImageFrames(Frames):
    """Image files, one frame each.

    Args:
        paths: The files, in order; at least one.
        name: Short name.
        fps: Frames per second; None for 25.
        max_pixels: Pixels of the largest image that is decoded.
    """

    def __init__(
        self, paths: Sequence[Path], name: str, fps: float | None, max_pixels: int
    ) -> None:
        super().__init__()
        self.paths = list(paths)
        self.name = name
        self.fps = DEFAULT_FPS if fps is None else float(fps)
        self.num_frames = len(self.paths)
        self._max_pixels = max_pixels
        height, width = read_image(self.paths[0], max_pixels).shape[:2]
        self.image_size = (width, height)

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """Yields numbers and images from the first file on."""
        for number, path in enumerate(self.paths):
            image = read_image(path, self._max_pixels)
            _check_size(image, self.image_size, f'image {path}', str(self.paths[0]))
            yield number, image


class ArrayFrames(Frames):
    """Images in memory.

    Args:
        arrays: An image, a stack or a list of them, as of :func:`open_frames`.
        fps: Frames per second; None for 25.
    """

    name = 'arrays'

    def __init__(self, arrays: Any, fps: float | None) -> None:
        super().__init__()
        single = isinstance(arrays, np.ndarray) and (
            arrays.ndim == 2 or (arrays.ndim == 3 and arrays.shape[-1] in (1, 3, 4))
        )
        self._arrays = [arrays] if single else arrays
        self.fps = DEFAULT_FPS if fps is None else float(fps)
        self.num_frames = len(self._arrays)
        if not self.num_frames:
            raise UnreadableSource('there is no frame: the list of images is empty')
        height, width = as_bgr(self._arrays[0], 'array 0').shape[:2]
        self.image_size = (width, height)

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """Yields numbers and images from the first array on."""
        for number, array in enumerate(self._arrays):
            image = as_bgr(array, f'array {number}')
            _check_size(image, self.image_size, f'array {number}', 'array 0')
            yield number, image


def as_bgr(array: Any, name: str) -> Image:
    """Makes an image of blue, green and red of one that is grey or has alpha.

    Args:
        array: ``(height, width)`` or ``(height, width, 1, 3 or 4)`` uint8.
        name: What it is, for the message.

    Returns:
        ``(height, width, 3)``.

    Raises:
        UnreadableSource: It is no such array.
    """
    shape = getattr(array, 'shape', None)
    fits = (
        isinstance(array, np.ndarray)
        and (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (1, 3, 4)))
        and array.size
    )
    if not fits or array.dtype != np.uint8:
        found = type(array).__name__ if shape is None else f'{shape} of {array.dtype}'
        raise UnreadableSource(
            f'{name} must be an image, (height, width) or (height, width, 1, 3 or 4) '
            f'of uint8 in 0..255, got {found}'
        )
    if array.ndim == 2 or array.shape[-1] == 1:
        return cv2.cvtColor(array, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(array[..., :3])


def _check_size(image: Image, size: tuple[int, int], name: str, first: str) -> None:
    found = image.shape[1], image.shape[0]
    if found != size:
        raise UnreadableSource(
            f'{name} has {found[0]} x {found[1]} pixels, and {first} has {size[0]} x '
            f'{size[1]}; frames must be of one size: resize it or take it away'
        )


class _Capture(Frames):
    """What OpenCV's ``VideoCapture`` opens."""

    def __init__(
        self, address: str | int, name: str, fps: float | None, max_pixels: int
    ) -> None:
        super().__init__()
        self.name = name
        self._address = address
        self._capture = self._open()
        try:
            self._check_pixels(max_pixels)
            done, first = self._capture.read()
            if not done:
                raise UnreadableSource(f'{self.label} holds no frame that can be read')
            self.image_size = (first.shape[1], first.shape[0])
            self.fps = self._fps() if fps is None else float(fps)
        except BaseException:
            self.close()
            raise
        self._first: Image | None = first

    @property
    def label(self) -> str:
        """What it is, for messages."""
        return str(self._address)

    def _open(self) -> Any:
        capture = cv2.VideoCapture(self._address)
        if not capture.isOpened():
            raise self._not_opened()
        return capture

    @abstractmethod
    def _not_opened(self) -> UnreadableSource: ...

    def _check_pixels(self, max_pixels: int) -> None:
        width = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        height = self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        if width * height > max_pixels:
            raise UnreadableSource(
                f'{self.label} has frames of {width:.0f} x {height:.0f} pixels, more '
                f'than max_pixels={max_pixels:,} allows'
            )

    def _fps(self) -> float:
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        if np.isfinite(fps) and fps > 0:
            return fps
        self._note(
            f'{self.label} does not say how many frames it has per second: '
            f'{DEFAULT_FPS:.0f} is taken; pass fps to say it'
        )
        return DEFAULT_FPS

    def _read_on(self) -> Iterator[Image]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        capture: Any = self._capture
        while capture is not None and capture is self._capture:
            done, image = capture.read()
            if not done:
                return
            yield image

    def close(self) -> None:
        """Closes the file or the device."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None
        self._first = None


class VideoFrames(_Capture):
    """A video file.

    One that ends before the number of frames that its header declares is read as far
    as it goes; this is logged and kept in ``notes``.

    Args:
        path: The file.
        fps: Frames per second; None for those of the file.
        max_pixels: Pixels of the largest frame that is decoded.

    Raises:
        UnreadableSource: It cannot be decoded, or holds no frame.
    """

    def __init__(
        self, path: Path, fps: float | None = None, max_pixels: int = MAX_PIXELS
    ) -> None:
        super().__init__(str(path), path.name, fps, max_pixels)
        declared = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._declared = int(declared) if 0 < declared < 2**31 else None
        self._closed = False
        # what browsers record and raw streams in a file do not say
        self.num_frames = self._declared or self.count()

    def _not_opened(self) -> UnreadableSource:
        size = Path(self.label).stat().st_size
        return UnreadableSource(
            f'{self.label} ({size:,} bytes) cannot be decoded as a video: it is '
            'damaged, no video, or in a format that this OpenCV lacks; convert it with '
            '`ffmpeg -i IN -c:v libx264 OUT.mp4`'
        )

    def count(self) -> int:
        """The number of frames, by decoding them all, whatever the header says."""
        capture, count = self._open(), 0
        while capture.grab():
            count += 1
        capture.release()
        return count

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """Yields numbers and images from the first frame on."""
        if self._closed:
            raise UnreadableSource(f'{self.label} has been closed; open it again')
        if self._first is None:
            super().close()
            self._capture = self._open()
        number = -1
        for number, image in enumerate(self._read_on()):
            _check_size(image, self.image_size, f'frame {number} of {self.label}', 'it')
            yield number, image
        if not self._closed:
            self._ended(number + 1)

    def _ended(self, count: int) -> None:
        if self._declared is not None and count < self._declared:
            self._note(
                f'{self.label} ends early: {count} of the {self._declared} frames '
                'that it declares could be decoded, and these are used'
            )
        self.num_frames = count

    def close(self) -> None:
        """Closes the file."""
        super().close()
        self._closed = True


class Camera(_Capture):
    """A camera or a stream: frames as they come, once, without an end.

    Args:
        address: Number of the camera, or address of the stream.
        fps: Frames per second; None for what the device says.
        max_pixels: Pixels of the largest frame.

    Raises:
        MissingSource: It cannot be opened.
    """

    num_frames = None

    def __init__(
        self,
        address: int | str,
        fps: float | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        name = f'webcam{address}' if isinstance(address, int) else address
        super().__init__(address, name, fps, max_pixels)
        self._next = 0

    @property
    def label(self) -> str:
        """What it is, for messages."""
        kind = 'camera' if isinstance(self._address, int) else 'stream'
        return f'{kind} {self._address}'

    def _not_opened(self) -> UnreadableSource:
        return MissingSource(
            f'{self.label} cannot be opened: it is not there, in use by another '
            'program, or not readable for this user'
        )

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        """Yields numbers and images as they come; a second loop goes on counting."""
        for image in self._read_on():
            number, self._next = self._next, self._next + 1
            yield number, image
