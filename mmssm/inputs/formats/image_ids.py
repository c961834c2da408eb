"""Which frame an image id of a keypoint file means."""

import re
from collections.abc import Sequence
from logging import INFO
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmssm.inputs.formats.rows import KeypointFileError

_MOST_FRAMES_PER_IMAGE = 200
"""Numbers in image ids that are further apart on average are no frame numbers."""


def frames_of(
    path: str,
    ids: Sequence[Any],
    images: Sequence[str | int] | None,
    first_image: int | None,
) -> list[int]:
    """Number of the frame of each image id.

    Args:
        path: The file, for messages.
        ids: Image ids, in the file's order.
        images: Ids of the clip's images in order, or names of their files, if known.
        first_image: Number of the clip's first image, if known. Default: 0 where one
            of the numbers is 0 or where all ids are texts of a number and nothing else
            (``'12.jpg'``), and else the smallest number.

    Returns:
        Numbers from 0.

    Raises:
        KeypointFileError: An id is none of the images, has no number, or the numbers
            lie too far apart or are too few to be those of frames.
    """
    if images is not None:
        places = {_stem(one): place for place, one in enumerate(images)}
        for place, one in enumerate(ids):
            if _stem(one) not in places:
                raise KeypointFileError(
                    f'{path}: entry {place} is of image {one!r}, which is none of the '
                    f'{len(images)} images of the clip, {list(images)[:3]} and so on'
                )
        return [places[_stem(one)] for one in ids]
    numbers = [_number(path, place, one) for place, one in enumerate(ids)]
    if not numbers:
        return []
    _check_unique(path, ids, numbers)
    low = min(numbers)
    bare = all(isinstance(one, str) and Path(one).stem.isdigit() for one in ids)
    start = first_image
    if start is None:
        start = 0 if bare or low == 0 else low
        if start:
            print_log(
                f'{path}: image {start} is taken as frame 0; pass first_image, the '
                "number of the clip's first image, if nobody is in that one",
                'current',
                INFO,
            )
    if low < start:
        raise KeypointFileError(
            f'{path}: entry {numbers.index(low)} is of image {low}, and first_image is '
            f'{start}'
        )
    span = max(numbers) - start + 1
    if span > _MOST_FRAMES_PER_IMAGE * len(set(numbers)) + 1000:
        raise KeypointFileError(
            f'{path}: the ids of {len(set(numbers))} images lie between {low} and '
            f'{max(numbers)}, so they are no frame numbers; pass images=[...], the ids '
            'of the images in order'
        )
    return [number - start for number in numbers]


def _check_unique(path: str, ids: Sequence[Any], numbers: list[int]) -> None:
    names: dict[int, Any] = {}
    for one, number in zip(ids, numbers, strict=True):
        other = names.setdefault(number, one)
        if _stem(other) != _stem(one):
            raise KeypointFileError(
                f'{path}: the images {other!r} and {one!r} have the number {number} '
                'both; pass images=[...], the ids of the images in order'
            )


def _stem(image_id: Any) -> str:
    """An image id without folder and ending, so that names and numbers compare."""
    name = str(image_id).replace('\\', '/').rpartition('/')[2]
    return re.sub(r'\.[A-Za-z]\w*$', '', name)


def _number(path: str, place: int, image_id: Any) -> int:
    digits = re.findall(r'\d+', _stem(image_id))
    if isinstance(image_id, bool) or not isinstance(image_id, str | int) or not digits:
        raise KeypointFileError(
            f'{path}: expected a frame number in image_id of entry {place}, found '
            f'{image_id!r}; pass images=[...], the ids of the images in order'
        )
    return int(digits[-1])
