"""MMPose: JSON of its inferencers and demos, people frame by frame.

Inferencers write ``[{'frame_id': 0, 'instances': [...]}, ...]`` for videos and one list
of instances per image; demos write ``{'meta_info': {...}, 'instance_info': [...]}``
with frames from 1. An instance has ``keypoints``, ``keypoint_scores``, perhaps ``bbox``
and, as an addition of this package and of trackers, ``track_id``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmssm.inputs.formats.image_ids import frames_of
from mmssm.inputs.formats.rows import (
    SOURCE,
    WHAT,
    Contents,
    KeypointFileError,
    Row,
    read_box,
    read_pairs,
    read_whole,
)
from mmssm.inputs.frames import natural_order
from mmssm.structures.joint_sets import get_joint_set
from mmssm.structures.tracks import KeypointSequence, KeypointTrack
from mmssm.utils.annotation_files import read_json, require_keys, require_list


def read(path: str, data: Any) -> Contents:
    """Reads a file of a video or of an image.

    Args:
        path: The file, for messages.
        data: What it holds.

    Raises:
        ValueError: It does not hold; the message names the place.
    """
    meta: Mapping = {}
    start = 0
    if isinstance(data, Mapping):
        require_keys(path, 'the file', data, ['instance_info'])
        meta = data.get('meta_info') or {}
        require_keys(path, 'meta_info', meta, [])
        data = require_list(path, 'instance_info', data['instance_info'])
        # MMPose's demos, which write this, count frames from 1 and list every one
        if data and isinstance(data[0], Mapping) and data[0].get('frame_id') == 1:
            start = 1
    entries = require_list(path, 'the file', data)
    if entries and isinstance(entries[0], Mapping) and 'keypoints' in entries[0]:
        entries = [{'frame_id': 0, 'instances': entries}]
    rows: list[Row] = []
    frames: dict[int, int] = {}
    for place, entry in enumerate(entries):
        where = f'entry {place}'
        require_keys(path, where, entry, ['frame_id', 'instances'])
        frame = read_whole(path, f'frame_id of {where}', entry['frame_id']) - start
        if frames.setdefault(frame, place) != place:
            raise KeypointFileError(
                f'{path}: {where} has frame_id {frame + start}, which entry '
                f'{frames[frame]} has too'
            )
        people = require_list(path, f'instances of {where}', entry['instances'])
        for index, person in enumerate(people):
            at = f'instance {index} of frame {frame + start}'
            rows.append(_row(path, at, frame, person))
    return Contents(
        rows,
        num_frames=max(frames, default=-1) + 1,
        joint_names=_joint_names(meta),
        image_size=_image_size(path, meta),
        fps=_fps(path, meta),
    )


def read_folder(folder: Path, images: Sequence[str | int] | None) -> Contents:
    """Reads the files of images, one each.

    Args:
        folder: Where they are.
        images: Names of the clip's images in order, if known; else the files in natural
            order are the frames.

    Raises:
        ValueError: There is none, or one does not hold or is of no image.
    """
    files = sorted(folder.glob('*.json'), key=lambda file: natural_order(file.name))
    if not files:
        raise KeypointFileError(f'{folder} holds no .json file')
    frames = list(range(len(files)))
    if images is not None:
        frames = frames_of(str(folder), [file.stem for file in files], images, None)
    rows = []
    for frame, file in zip(frames, files, strict=True):
        people = require_list(str(file), 'it', read_json(str(file), WHAT, SOURCE))
        for index, person in enumerate(people):
            rows.append(_row(str(file), f'instance {index}', frame, person))
    return Contents(rows, num_frames=len(files if images is None else images))


def write(sequence: KeypointSequence) -> Iterator[bytes]:
    """The sequence as a demo of MMPose would write it, with frames from 0.

    Frame by frame: lists of numbers take many times the room of the tracks.
    """
    joints = get_joint_set(sequence.joint_set)
    meta = {
        'dataset_name': joints.name,
        'keypoint_id2name': dict(enumerate(joints.joint_names)),
        'image_size': list(sequence.image_size),
        'fps': sequence.fps,
    }
    yield f'{{"meta_info": {json.dumps(meta)}, "instance_info": ['.encode()
    for frame in range(sequence.num_frames):
        people = [_instance(track, row) for track, row in sequence.people_in(frame)]
        text = json.dumps({'frame_id': frame, 'instances': people})
        yield (f', {text}' if frame else text).encode()
    yield b']}'


def _instance(track: KeypointTrack, row: int) -> dict[str, Any]:
    person: dict[str, Any] = {
        'track_id': int(track.track_id),
        'keypoints': np.nan_to_num(track.keypoints[row]).tolist(),
        'keypoint_scores': track.scores[row].tolist(),
    }
    if track.bboxes is not None:
        person['bbox'] = [track.bboxes[row].tolist()]
    return person


def _row(path: str, where: str, frame: int, person: Any) -> Row:
    require_keys(path, where, person, ['keypoints', 'keypoint_scores'])
    keypoints, scores = read_pairs(
        path, where, person['keypoints'], person['keypoint_scores']
    )
    number = person.get('track_id')
    if number is not None:
        number = read_whole(path, f'track_id of {where}', number)
    box = person.get('bbox')
    if isinstance(box, list) and len(box) == 1:
        box = box[0]  # MMPose's split_instances writes a list in a list
    if isinstance(box, list) and len(box) == 5:
        box = box[:4]  # with a score
    bbox = None if box is None else read_box(path, where, box)
    return Row(frame, number, keypoints, scores, bbox, where)


def _joint_names(meta: Mapping) -> list[str] | None:
    names = meta.get('keypoint_id2name')
    if not isinstance(names, Mapping) or not all(str(key).isdigit() for key in names):
        return None
    return [str(names[key]) for key in sorted(names, key=int)]


def _image_size(path: str, meta: Mapping) -> tuple[int, int] | None:
    size = meta.get('image_size')
    if size is None:
        return None
    if len(require_list(path, 'image_size of meta_info', size)) != 2:
        raise KeypointFileError(
            f'{path}: expected image_size of meta_info as [width, height], found {size}'
        )
    width, height = (read_whole(path, 'image_size of meta_info', one) for one in size)
    return width, height


def _fps(path: str, meta: Mapping) -> float | None:
    fps = meta.get('fps')
    if fps is None:
        return None
    if not isinstance(fps, int | float) or not 0 < fps < float('inf'):
        raise KeypointFileError(
            f'{path}: expected fps of meta_info to be positive, found {fps!r}'
        )
    return float(fps)
