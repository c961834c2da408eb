"""The page of lifted people: 2D beside 3D, alone or compared."""

from pathlib import Path
from typing import Any

import numpy as np

from .comparison import error_note, frame_errors, mean_over_people
from .limits import scene_limits
from .packing import pack, to_float_list
from .page import (
    IMAGES_PER_SECOND,
    describe_frames,
    other_name,
    plural,
    source_name,
    write_page,
)
from .palette import OTHER, body_skeleton, is_left, side_legend, track_color
from .pictures import PictureStrip, Video, read_frames
from .placing import joints_in_scene, place_people
from .results import Lifting, Person, require


def write_lifting_page(
    path: str | Path,
    result: Lifting,
    video: Video | None = None,
    other: Lifting | None = None,
    title: str | None = None,
    picture_megabytes: float = 24.0,
) -> None:
    """Writes an HTML page that plays a lifted video: 2D beside the turning 3D poses.

    The page is one file and asks nothing of the network. It holds the 2D joints, the
    3D joints and, if given, the video as JPEGs; a table says every joint's numbers.
    Frames in which somebody is missing show nothing of them.

    With ``other`` (ground truth, or another model's result) both are drawn over one
    another and the error of every frame stands above the scrubber: MPJPE after
    moving both roots onto one another, millimetres, mean over joints and then over
    the people that both have. Whom only ``other`` has is drawn in its grey.

    Args:
        path: The file, written whole or not at all.
        result: What to show.
        video: Its path, or its frames (number, BGR image) such as
            ``mmssm.inputs.open_frames`` gives; those from ``result.num_frames`` on
            are not read. None shows joints alone.
        other: Another result of the same joints and frames. People are matched by
            their ``track_id``; if both have one person, these are compared.
        title: Heading; the name of the source by default.
        picture_megabytes: What all pictures together may weigh. Pictures are made
            smaller, and frames left out, to stay below; the page says how.

    Raises:
        TypeError: ``result`` or ``other`` is no such result.
        ValueError: The frames are not of the result's size, or ``other`` has other
            joints or nobody in common.
        FileNotWrittenError: The file could not be written.
    """
    require(result, Lifting, 'result')
    if result.num_frames < 1:
        raise ValueError('there is nothing to show: result.num_frames is 0')
    if other is not None:
        _check_comparable(result, other)
    width, height = result.image_size
    strip = PictureStrip(result.num_frames, 1e6 * picture_megabytes, (width, height))

    def data() -> dict[str, Any]:
        if video is not None and not strip.frames:
            raise ValueError('the video has no frame that could be shown')
        return _data(result, other, strip)

    write_page(
        path,
        title or source_name(result.source),
        ('lifting.js',),
        () if video is None else strip.encode(read_frames(video)),
        data,
    )


def _check_comparable(result: Lifting, other: Lifting) -> None:
    require(other, Lifting, 'other')
    ours, theirs = tuple(result.joint_names), tuple(other.joint_names)
    if ours != theirs:
        raise ValueError(
            'results are compared joint by joint, and these have different ones: '
            f'{sorted(set(ours) ^ set(theirs)) or "the same in another order"}'
        )
    if result.persons and other.persons and not _matches(result, other):
        numbers = [
            sorted(person.track_id for person in one.persons) for one in (result, other)
        ]
        raise ValueError(
            'people are matched by track_id, and no number is in both results: '
            f'{numbers[0]} and {numbers[1]}. Give the people of one the numbers of the '
            'other'
        )


def _data(result: Lifting, other: Lifting | None, strip: PictureStrip) -> dict:
    """What the page's script reads."""
    lone = () if other is None else _missing_in(result, other)
    persons = [*result.persons, *lone]
    skeleton = body_skeleton(result.joint_names, result.skeleton_links)
    placing = place_people(persons, room=1 if other is None else 2)
    order = {slot: lane for lane, slot in enumerate(dict.fromkeys(placing.slots))}
    data: dict[str, Any] = {
        'subtitle': _subtitle(result, other),
        'legend': side_legend(skeleton, len(persons)),
        'notes': _notes(result, other, strip, placing.placed),
        'count': result.num_frames,
        'total': result.num_frames,
        'fps': result.fps or IMAGES_PER_SECOND,
        'timed': result.fps is not None,
        'stride': 1,
        'image_size': [int(edge) for edge in result.image_size],
        'pictures': ({'frames': pack(strip.frames, 'int32')} if strip.frames else None),
        'joints': list(result.joint_names),
        'root': int(result.root),
        'links': [list(link) for link in skeleton.links],
        'link_colors': list(skeleton.colors),
        'link_left': is_left(skeleton),
        'size': round(placing.size, 4),
        'spacing': round(placing.spacing, 4),
        'limits': scene_limits(
            list(map(joints_in_scene, persons, placing.offsets)), placing.size
        ),
        'limits_placed': (
            scene_limits(list(map(joints_in_scene, persons)), placing.size)
            if placing.placed
            else None
        ),
        'flat_title': '2D joints over the video' if strip.frames else '2D joints',
        'solid_title': '3D joints, metres',
        'origin': 'root',
        'people': [
            _pack_person(person)
            | {
                'name': f'person {person.track_id}',
                'color': track_color(number),
                'lane': order[placing.slots[number]],
                'offset': to_float_list(placing.offsets[number]),
                'grey': number >= len(result.persons),
            }
            for number, person in enumerate(persons)
        ],
    }
    if other is not None:
        _add_other(data, result, other)
    return data


def _add_other(data: dict[str, Any], result: Lifting, other: Lifting) -> None:
    """Adds what is compared, and the errors."""
    name = _name(result, other)
    matches = _matches(result, other)
    errors = []
    for person, packed in zip(result.persons, data['people'], strict=False):
        match = matches.get(person.track_id)
        if match is not None:
            packed['other'] = _pack_body(match)
            error = frame_errors(person, match, int(result.root))
            errors.append((np.asarray(person.frames), error))
    for packed in data['people'][len(result.persons) :]:
        packed |= {'name': f'{packed["name"]}, {name}', 'color': OTHER}
    curve = mean_over_people(errors, result.num_frames)
    data['error'] = pack(curve, 'float32')
    data['error_label'] = 'MPJPE of each frame, roots aligned'
    data['legend'].append({'name': name, 'color': OTHER})
    data['notes'].insert(0, error_note(curve, plural(len(errors), 'person', 'people')))


def _name(result: Lifting, other: Lifting) -> str:
    return other_name(result.model, result.source, other.model, other.source)


def _subtitle(result: Lifting, other: Lifting | None) -> str:
    against = '' if other is None else f' beside {_name(result, other)} (grey)'
    return ' · '.join(
        (
            f'{result.model}{against}',
            f'2D: {result.frontend}',
            plural(len(result.persons), 'person', 'people'),
            describe_frames(result.num_frames, result.fps, result.image_size),
        )
    )


def _notes(
    result: Lifting, other: Lifting | None, strip: PictureStrip, placed: bool
) -> list[str]:
    notes = [str(note) for note in result.notes]
    if other is not None:
        name = _name(result, other)
        notes += [f'{name}: {note}' for note in other.notes]
        matches = _matches(result, other)
        lone = [one.track_id for one in result.persons if one.track_id not in matches]
        if lone:
            notes.append(f'{name} has no person of track {lone}.')
        more = [one.track_id for one in _missing_in(result, other)]
        if more:
            notes.append(f'Only {name} has track {more}: drawn in its grey.')
        seen = [
            describe_frames(one.num_frames, one.fps, one.image_size)
            for one in (result, other)
        ]
        if seen[0] != seen[1]:
            notes.append(
                f'{name} is of {seen[1]}. Frames are compared by their number: are '
                'both of the same video?'
            )
    if not result.persons:
        notes.append('Nobody was found.')
    notes.append(
        'Axes of the camera: x right, y down, z forward. The ground is drawn at the '
        'height of the lowest joints, level with the camera. Frames count from 0.'
    )
    if placed:
        notes.append('People stand where the estimated root positions put them.')
    elif len(result.persons) > 1:
        notes.append('Places are not estimated: people stand side by side.')
    if any(np.any(p.filled) or np.any(p.filled_joints) for p in result.persons):
        notes.append(
            'Hollow joints were missing in 2D and are interpolated; people are pale in '
            'frames in which they were not found.'
        )
    return notes + (strip.notes() if strip.frames else [])


def _missing_in(result: Lifting, other: Lifting) -> list[Person]:
    """The people whom only the other result has."""
    matched = {person.track_id for person in _matches(result, other).values()}
    return [one for one in other.persons if one.track_id not in matched]


def _matches(result: Lifting, other: Lifting) -> dict[int, Person]:
    """By the numbers of ours, whom they are compared with."""
    if len(result.persons) == len(other.persons) == 1:
        return {result.persons[0].track_id: other.persons[0]}
    ours = {person.track_id for person in result.persons}
    return {one.track_id: one for one in other.persons if one.track_id in ours}


def _pack_body(person: Person) -> dict[str, Any]:
    """What is drawn of a person in 3D."""
    root = person.root_position
    return {
        'frames': pack(person.frames, 'int32'),
        'joints_3d': pack(person.keypoints_3d, 'float32'),
        'root': None if root is None else pack(root, 'float32'),
    }


def _pack_person(person: Person) -> dict[str, Any]:
    return _pack_body(person) | {
        'keypoints': pack(person.keypoints, 'float32'),
        'scores': pack(person.keypoint_scores, 'float32'),
        'filled': pack(person.filled, 'uint8'),
        'filled_joints': pack(person.filled_joints, 'uint8'),
    }
