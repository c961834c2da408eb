"""Images that may be missing, damaged or absurdly large."""

import io
from collections.abc import Callable
from logging import WARNING
from os import path as osp
from typing import IO, Any

import mmcv
import numpy as np
from mmengine.logging import print_log
from mmpose.datasets.transforms import LoadImage
from PIL import Image, UnidentifiedImageError

from mmssm.registry import TRANSFORMS

MAX_PIXELS = 2**26
"""Pixels of the largest image that is decoded: 8192 x 8192."""

_ENDS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND\xaeB`\x82'}
"""How a whole file of each format ends."""


class UnreadableImage(ValueError):
    """An image that is missing, damaged, too large or of another size."""


def check_image_file(
    path: str, max_pixels: int = MAX_PIXELS, size: tuple[int, int] | None = None
) -> None:
    """Checks an image file by its first and last bytes, without decoding it.

    OpenCV decodes a file that was cut short and fills the rest with grey.

    Args:
        path: The file.
        max_pixels: Pixels of the largest image allowed.
        size: Width and height expected, if known.

    Raises:
        UnreadableImage: It does not exist, is no image, is cut short, is too
            large, or of another size.
    """
    if not osp.isfile(path):
        raise UnreadableImage('there is no such file')
    with open(path, 'rb') as file:
        check_image(file, osp.getsize(path), max_pixels, size)


def check_image(
    file: IO[bytes],
    length: int,
    max_pixels: int = MAX_PIXELS,
    size: tuple[int, int] | None = None,
) -> None:
    """Checks an image as :func:`check_image_file` does.

    Args:
        file: Its bytes.
        length: How many they are.
        max_pixels: Pixels of the largest image allowed.
        size: Width and height expected, if known.

    Raises:
        UnreadableImage: As there.
    """
    try:
        with Image.open(file) as image:
            kind, found = image.format, image.size
            whole = _ends_well(file, kind or '')
    except UnidentifiedImageError:
        raise UnreadableImage(f'it is no image ({length:,} bytes)') from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(f'{type(error).__name__}: {error}') from error
    pixels = found[0] * found[1]
    if pixels > max_pixels or length > 16 * max_pixels:
        raise UnreadableImage(
            f'it has {found[0]} x {found[1]} pixels in {length:,} bytes, '
            f'more than max_pixels={max_pixels:,} allows'
        )
    if not whole:
        raise UnreadableImage(f'it is cut short ({length:,} bytes)')
    if size is not None and tuple(size) != found:
        raise UnreadableImage(
            f'it has {found[0]} x {found[1]} pixels, the annotations are for '
            f'{size[0]} x {size[1]}'
        )


def _ends_well(file: IO[bytes], kind: str) -> bool:
    if kind not in _ENDS:
        return True
    file.seek(0, 2)
    file.seek(max(0, file.tell() - 4096))
    return _ENDS[kind] in file.read()


def image_size(path: str) -> tuple[int, int] | None:
    """Width and height that an image file declares; None without a whole header."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


class CheckedImageMixin:
    """Loading images that may be spoiled; see :class:`LoadCheckedImage`."""

    max_pixels: int
    replace_corrupted: bool

    def load_checked(
        self, results: dict, decode: Callable[[Any], np.ndarray | None]
    ) -> dict | None:
        """Checks, decodes and mirrors the image of a sample.

        Args:
            results: The sample.
            decode: Makes an array of a path, or of bytes.

        Returns:
            The sample, or None where another is to take its place.

        Raises:
            UnreadableImage: The image cannot be used, and is not replaced.
        """
        path, data = results['img_path'], results.pop('img_bytes', None)
        limits = (self.max_pixels, results.get('image_size'))
        try:
            if data is None:
                check_image_file(path, *limits)
            else:
                check_image(io.BytesIO(data), len(data), *limits)
            image = decode(path if data is None else data)
            if image is None:
                raise UnreadableImage('it is damaged: it cannot be decoded')
        except UnreadableImage as error:
            message = f'image {path} of sample {results.get("sample_idx", "?")}: '
            if not self.replace_corrupted:
                raise UnreadableImage(f'{message}{error}') from error
            print_log(f'{message}{error}; another is used', 'current', WARNING)
            return None
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadCheckedImage(CheckedImageMixin, LoadImage):
    """Loads an image, and says what is wrong with one that cannot be used.

    What MMPose's ``LoadImage`` cannot do: it decodes an image of any size,
    takes a file that was cut short for whole, and its error does not say which
    sample is concerned.

    Required keys: ``img_path``; ``sample_idx`` and ``image_size`` are used
    if there, and ``img_bytes`` in place of the file (and removed). Added
    keys: ``img``, ``img_shape``, ``ori_shape``.

    Args:
        max_pixels: Pixels of the largest image that is decoded.
        replace_corrupted: In training, report an image that cannot be used and
            let another sample take its place, up to the dataset's
            ``max_refetch`` times. Default: an error.
        to_float32, color_type, imdecode_backend: As in MMPose's ``LoadImage``.

    Raises:
        UnreadableImage: A ``ValueError`` that names the file and the sample.
    """

    def __init__(
        self,
        max_pixels: int = MAX_PIXELS,
        replace_corrupted: bool = False,
        to_float32: bool = False,
        color_type: str = 'color',
        imdecode_backend: str = 'cv2',
    ) -> None:
        super().__init__(to_float32, color_type, imdecode_backend)
        if max_pixels < 1:
            raise ValueError(f'max_pixels must be at least 1, got {max_pixels}')
        self.max_pixels = max_pixels
        self.replace_corrupted = replace_corrupted

    def transform(self, results: dict) -> dict | None:
        """Loads the image of a sample; see the class."""
        return self.load_checked(results, self._decode)

    def _decode(self, source: str | bytes) -> np.ndarray | None:
        decode = mmcv.imread if isinstance(source, str) else mmcv.imfrombytes
        image = decode(source, flag=self.color_type, backend=self.imdecode_backend)
        if image is not None and self.to_float32:
            image = image.astype(np.float32)
        return image
