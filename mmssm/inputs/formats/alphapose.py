"""AlphaPose: COCO's results with names of images, ``box``, and ``idx`` for tracks."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mmssm.inputs.formats import coco
from mmssm.inputs.formats.rows import Contents
from mmssm.structures.tracks import KeypointSequence


def read(
    path: str, data: Any, images: Sequence[str | int] | None, first_image: int | None
) -> Contents:
    """Reads a file; arguments and errors as of :func:`mmssm.inputs.formats.coco.read`.

    AlphaPose writes ``idx`` without having tracked too: the same for everybody. Such
    numbers are not taken for tracks.
    """
    entries, frames = coco.read_entries(path, data, images, first_image)
    numbers = [
        coco.read_number(path, place, entry, 'idx')
        for place, entry in enumerate(entries)
    ]
    if _says_nothing(frames, numbers):
        numbers = [None] * len(numbers)
    return coco.make_contents(path, entries, frames, numbers, images)


def _says_nothing(frames: list[int], numbers: list[int | None]) -> bool:
    pairs = list(zip(frames, numbers, strict=True))
    return len(set(numbers)) == 1 and len(set(pairs)) < len(pairs)


def write(sequence: KeypointSequence) -> Iterator[bytes]:
    """The sequence as AlphaPose writes a video: images are ``0.jpg``, ``1.jpg``, ..."""
    entries = []
    for track, row, frame in coco.in_order(sequence):
        entry = {
            'image_id': f'{frame}.jpg',
            'category_id': 1,
            'idx': int(track.track_id),
            **coco.person(track, row),
        }
        if track.bboxes is not None:
            entry['box'] = coco.box_with_size(track.bboxes[row])
        entries.append(entry)
    yield json.dumps(entries).encode()
