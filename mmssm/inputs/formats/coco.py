"""COCO: JSON of keypoint results and of annotations.

Results are a list of people, each with ``image_id``, ``keypoints`` as ``[x, y, score,
...]`` and perhaps ``bbox`` as ``[x, y, width, height]`` and ``track_id``. Annotations
name images with sizes; a joint's third number is 0 where it is not labelled.
COCO-WholeBody has the joints of feet, face and hands in lists of their own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmssm.inputs.formats.image_ids import frames_of
from mmssm.inputs.formats.rows import (
    Contents,
    KeypointFileError,
    Row,
    read_box,
    read_flat,
    read_whole,
)
from mmssm.inputs.frames import natural_order
from mmssm.structures.tracks import KeypointSequence, KeypointTrack
from mmssm.utils.annotation_files import require_keys, require_list

_PARTS = ('keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts')
"""COCO-WholeBody's lists, in the order of its 133 joints."""


def read(
    path: str, data: Any, images: Sequence[str | int] | None, first_image: int | None
) -> Contents:
    """Reads results.

    Args:
        path: The file, for messages.
        data: What it holds.
        images: Ids of the clip's images in order, if known.
        first_image: Number of the clip's first image, if known.

    Raises:
        ValueError: It does not hold; the message names the place.
    """
    entries, frames = read_entries(path, data, images, first_image)
    numbers = [
        read_number(path, place, entry, 'track_id')
        for place, entry in enumerate(entries)
    ]
    return make_contents(path, entries, frames, numbers, images)


def read_entries(
    path: str, data: Any, images: Sequence[str | int] | None, first_image: int | None
) -> tuple[list[Mapping], list[int]]:
    """The people of results, and the number of the frame of each.

    Arguments and errors as of :func:`read`.
    """
    entries = require_list(path, 'the file', data)
    for place, entry in enumerate(entries):
        require_keys(path, f'entry {place}', entry, ['image_id', 'keypoints'])
    ids = [entry['image_id'] for entry in entries]
    return entries, frames_of(path, ids, images, first_image)


def make_contents(
    path: str,
    entries: list[Mapping],
    frames: list[int],
    numbers: list[int | None],
    images: Sequence[str | int] | None,
) -> Contents:
    """Puts results together.

    Args:
        path: The file, for messages.
        entries: Its people.
        frames: Number of the frame of each.
        numbers: Number of the track of each.
        images: Ids of the clip's images in order, if known.
    """
    rows = []
    for place, (entry, frame, number) in enumerate(
        zip(entries, frames, numbers, strict=True)
    ):
        where = f'entry {place} (image {entry["image_id"]})'
        keypoints, scores = read_flat(path, where, _joints(path, where, entry))
        box = entry.get('bbox', entry.get('box'))
        bbox = None if box is None else read_box(path, where, box, has_size=True)
        rows.append(Row(frame, number, keypoints, scores, bbox, where))
    count = max(frames, default=-1) + 1 if images is None else len(images)
    return Contents(rows, num_frames=count)


def read_number(path: str, place: int, entry: Mapping, key: str) -> int | None:
    """The number of a track.

    AlphaPose writes lists of them, of all the boxes that it took for one person; the
    first is taken.
    """
    number = entry.get(key)
    while isinstance(number, list) and number:
        number = number[0]
    if number is None:
        return None
    return read_whole(path, f'{key} of entry {place}', number)


def read_annotations(path: str, data: Mapping) -> Contents:
    """Reads annotations of the images of a clip, which come in natural order.

    Args:
        path: The file, for messages.
        data: What it holds.

    Raises:
        ValueError: It does not hold, or its images differ in size.
    """
    require_keys(path, 'the file', data, ['images', 'annotations'])
    images = require_list(path, 'images', data['images'])
    for place, image in enumerate(images):
        where = f'image {place}'
        require_keys(path, where, image, ['id', 'file_name', 'width', 'height'])
    images = sorted(images, key=lambda image: natural_order(str(image['file_name'])))
    frames = {str(image['id']): frame for frame, image in enumerate(images)}
    entries = require_list(path, 'annotations', data['annotations'])
    rows = [_annotation(path, place, one, frames) for place, one in enumerate(entries)]
    return Contents(
        rows,
        num_frames=len(images),
        joint_names=_category_names(data),
        image_size=_common_size(path, images),
    )


def _annotation(path: str, place: int, entry: Any, frames: dict[str, int]) -> Row:
    where = f'annotation {place}'
    require_keys(path, where, entry, ['image_id', 'keypoints'])
    frame = frames.get(str(entry['image_id']))
    if frame is None:
        raise KeypointFileError(
            f'{path}: {where} is of image {entry["image_id"]!r}, which is not among '
            'its images'
        )
    number = read_number(path, place, entry, 'track_id')
    joints = _joints(path, where, entry)
    keypoints, flags = read_flat(path, where, joints, highest=2)
    box = entry.get('bbox')
    bbox = None if box is None else read_box(path, where, box, has_size=True)
    # 1 is labelled and hidden, 2 visible; some tools write scores
    return Row(frame, number, keypoints, flags.clip(max=1), bbox, where)


def _joints(path: str, where: str, entry: Mapping) -> Any:
    """The numbers of a person's joints, of COCO-WholeBody's parts together."""
    if not any(part in entry for part in _PARTS[1:]):
        return entry['keypoints']
    require_keys(path, where, entry, _PARTS)
    lists = [require_list(path, f'{part} of {where}', entry[part]) for part in _PARTS]
    return [value for values in lists for value in values]


def _common_size(path: str, images: list[Mapping]) -> tuple[int, int] | None:
    sizes = {
        (
            read_whole(path, 'width of an image', one['width']),
            read_whole(path, 'height of an image', one['height']),
        )
        for one in images
    }
    if len(sizes) > 1:
        raise KeypointFileError(
            f'{path}: its images have {len(sizes)} sizes, {sorted(sizes)[:3]}: they '
            'are no frames of one clip'
        )
    for width, height in sizes:
        return width, height
    return None


def _category_names(data: Mapping) -> list[str]:
    categories = data.get('categories')
    if not isinstance(categories, list) or not categories:
        return []
    first = categories[0]
    names = first.get('keypoints') if isinstance(first, Mapping) else None
    return names if isinstance(names, list) else []


def write(sequence: KeypointSequence) -> Iterator[bytes]:
    """The sequence as results: ``image_id`` is the number of the frame."""
    entries = []
    for track, row, frame in in_order(sequence):
        entry = {
            'image_id': frame,
            'category_id': 1,
            'track_id': int(track.track_id),
            **person(track, row),
        }
        if track.bboxes is not None:
            entry['bbox'] = box_with_size(track.bboxes[row])
        entries.append(entry)
    yield json.dumps(entries).encode()


def in_order(sequence: KeypointSequence) -> list[tuple[KeypointTrack, int, int]]:
    """Everybody in every frame, frame by frame: the track, its row, the frame."""
    places = [
        (track, row, int(frame))
        for track in sequence.tracks
        for row, frame in enumerate(track.frames)
    ]
    return sorted(places, key=lambda place: (place[2], place[0].track_id))


def person(track: KeypointTrack, row: int) -> dict[str, Any]:
    """Joints and score of a person, as in results; a missing joint is 0, 0, 0."""
    scores = track.scores[row]
    triples = np.concatenate([np.nan_to_num(track.keypoints[row]), scores[:, None]], 1)
    return {'keypoints': triples.reshape(-1).tolist(), 'score': float(scores.mean())}


def box_with_size(bbox: NDArray) -> list[float]:
    """A box ``(4,)`` of corners as ``[x, y, width, height]``."""
    low, high = bbox[:2], bbox[2:]
    return [*low.tolist(), *(high - low).tolist()]
