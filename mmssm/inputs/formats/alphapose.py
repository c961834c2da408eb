"""AlphaPose: COCO's results with names of images, ``box``, and ``idx`` for tracks.

Its ``--format open`` and ``cmu`` are people by the name of the image, in the 18 joints
of OpenPose: COCO's in another order and the neck, which is left out.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmssm.inputs.formats import coco
from mmssm.inputs.formats.rows import Contents, KeypointFileError
from mmssm.structures.tracks import KeypointSequence
from mmssm.utils.annotation_files import require_keys, require_list

_KEYS = {'people': 'pose_keypoints_2d', 'bodies': 'joints'}
"""Where ``open`` and ``cmu`` have the people of an image, and a person's joints."""

_COCO_OF_OPENPOSE = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
_OPENPOSE_JOINTS = 18


def read(
    path: str, data: Any, images: Sequence[str | int] | None, first_image: int | None
) -> Contents:
    """Reads a file; arguments and errors as of :func:`mmssm.inputs.formats.coco.read`.

    AlphaPose writes ``idx`` without having tracked too: the same for everybody. Such
    numbers are not taken for tracks.
    """
    if isinstance(data, Mapping):
        data = _by_image(path, data)
    entries, frames = coco.read_entries(path, data, images, first_image)
    numbers = [
        coco.read_number(path, place, entry, 'idx')
        for place, entry in enumerate(entries)
    ]
    if _says_nothing(frames, numbers):
        numbers = [None] * len(numbers)
    return coco.make_contents(path, entries, frames, numbers, images)


def is_by_image(data: Any) -> bool:
    """Whether something is what ``--format open`` or ``cmu`` writes."""
    return isinstance(data, Mapping) and any(
        isinstance(found, Mapping) and any(key in found for key in _KEYS)
        for found in data.values()
    )


def _by_image(path: str, data: Mapping) -> list[dict[str, Any]]:
    """The people of ``open`` and ``cmu`` as those of results."""
    entries = []
    for image, found in data.items():
        where = f'image {image!r}'
        require_keys(path, where, found, [])
        group = 'bodies' if 'bodies' in found else 'people'
        require_keys(path, where, found, [group])
        for person in require_list(path, f'{group} of {where}', found[group]):
            require_keys(path, f'a person of {where}', person, [_KEYS[group]])
            joints = _reordered(path, where, person[_KEYS[group]])
            entries.append({'image_id': image, 'keypoints': joints})
    return entries


def _reordered(path: str, where: str, values: Any) -> list:
    values = require_list(path, f'the joints of a person of {where}', values)
    if len(values) != 3 * _OPENPOSE_JOINTS:
        raise KeypointFileError(
            f"{path}: expected OpenPose's {_OPENPOSE_JOINTS} joints of a person of "
            f'{where} as [x, y, score, ...], found {len(values)} numbers'
        )
    return [
        values[3 * joint + place] for joint in _COCO_OF_OPENPOSE for place in range(3)
    ]


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
