"""Image files that may be missing, damaged or absurdly large."""

from os import path as osp
from typing import IO

from PIL import Image, UnidentifiedImageError

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
