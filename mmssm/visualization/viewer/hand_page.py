"""The page of hand meshes: over the image beside the turning view."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmssm.structures import hand as hand_joints

from .comparison import error_note, joint_errors, mean_over_people
from .hand_columns import Column, all_columns, columns_of
from .limits import scene_limits
from .packing import pack, pack_scaled, to_float_list
from .page import (
    IMAGES_PER_SECOND,
    describe_frames,
    other_name,
    plural,
    source_name,
    write_page,
)
from .palette import FINGER_COLORS, OTHER, track_color
from .pictures import PictureStrip, Video, read_frames
from .results import Hand, HandMeshes, require

_HAND_SIZE = 0.2
"""Metres: what the view shows where there is no hand."""


def write_hand_page(
    path: str | Path,
    result: HandMeshes,
    video: Video | None = None,
    other: HandMeshes | None = None,
    title: str | None = None,
    picture_megabytes: float = 24.0,
    mesh_megabytes: float = 48.0,
) -> None:
    """Writes an HTML page of hand meshes: over the image beside a turning view.

    The page is one file and asks nothing of the network. Meshes are shaded by a
    software rasteriser in the page, so that it needs no graphics card; in the
    turning view every hand is shown from its wrist, next to one another.

    With ``other``, the hands of both stand beside or over one another, and the error
    of every frame above the scrubber: mean distance of the 21 joints after moving
    both wrists onto one another, millimetres, mean over the hands that both have.

    Args:
        path: The file, written whole or not at all.
        result: What to show.
        video: Path of the video, image or folder of images, or its frames (number,
            BGR image) such as ``mmssm.inputs.open_frames`` gives. None shows hands
            alone.
        other: Another result of the same frames and hand model. Hands are matched by
            their side and, among those of one side, by their order in the frame.
        title: Heading; the name of the source by default.
        picture_megabytes: What all pictures together may weigh. Pictures are made
            smaller, and frames left out, to stay below; the page says how.
        mesh_megabytes: What all meshes together may weigh; else only every so many
            frames are shown, which the page says.

    Raises:
        TypeError: ``result`` or ``other`` is no such result.
        ValueError: There is no frame, the frames of a video are not of the result's
            size, or ``other`` has another number of frames or other faces.
        FileNotWrittenError: The file could not be written.
    """
    require(result, HandMeshes, 'result')
    if not result.frames:
        raise ValueError('there is nothing to show: the result has no frame')
    if other is not None:
        _check_comparable(result, other)
    both = [result] if other is None else [result, other]
    weight = sum(_mesh_bytes(one) for one in both)
    stride = max(1, -int(-weight // (1e6 * mesh_megabytes)))
    width, height = result.image_size
    # images of a folder have sizes of their own
    size = None if result.fps is None else (width, height)
    strip = PictureStrip(len(result.frames), 1e6 * picture_megabytes, size, stride)

    def data() -> dict[str, Any]:
        if video is not None and not strip.frames:
            raise ValueError('the video has no frame that could be shown')
        return _data(result, other, strip, stride)

    write_page(
        path,
        title or source_name(result.source),
        ('mesh.js', 'hands.js'),
        () if video is None else strip.encode(read_frames(video)),
        data,
    )


def hand_errors(result: HandMeshes, other: HandMeshes) -> NDArray[np.float64]:
    """Error of each frame after aligning wrists, mean over hands, millimetres.

    Returns:
        ``(frames,)``; NaN where the results share no hand.
    """
    errors = []
    for number, (ours, theirs) in enumerate(
        zip(result.frames, other.frames, strict=True)
    ):
        there = dict(zip(columns_of(theirs), theirs, strict=True))
        for column, one in zip(columns_of(ours), ours, strict=True):
            if column in there:
                match = there[column].keypoints_3d[None]
                error = joint_errors(one.keypoints_3d[None], match, hand_joints.WRIST)
                errors.append((np.array([number]), error))
    return mean_over_people(errors, len(result.frames))


def _mesh_bytes(result: HandMeshes) -> float:
    """What all meshes weigh as base64 of 16-bit numbers."""
    return (
        4 / 3 * 2 * sum(one.vertices.size for hands in result.frames for one in hands)
    )


def _check_comparable(result: HandMeshes, other: HandMeshes) -> None:
    require(other, HandMeshes, 'other')
    if len(other.frames) != len(result.frames):
        raise ValueError(
            f'results are compared frame by frame, and these have {len(result.frames)} '
            f'and {len(other.frames)} frames'
        )
    if not np.array_equal(result.faces, other.faces):
        raise ValueError(
            'results are compared mesh by mesh, and these have different faces: they '
            'come from different hand models'
        )


def _data(
    result: HandMeshes, other: HandMeshes | None, strip: PictureStrip, stride: int
) -> dict[str, Any]:
    """What the page's script reads."""
    shown = result.frames[::stride]
    shown_other = () if other is None else other.frames[::stride]
    columns = all_columns([*shown, *shown_other])
    spacing = 1.15 * _reach([*shown, *shown_other])
    pitch = spacing * (1 if other is None else 2)
    middle = (len(columns) - 1) / 2
    offsets = [np.array([(n - middle) * pitch, 0, 0]) for n in range(len(columns))]
    where = dict(zip(columns, offsets, strict=True))
    # beside one another, ours stand half a hand to the left, the others' to the right
    shifts = (0.0,) if other is None else (-spacing / 2, spacing / 2)
    points = [
        _from_wrist(one, one.vertices)[None] + where[column] + [shift, 0, 0]
        for shift, frames in zip(shifts, (shown, shown_other), strict=False)
        for hands in frames
        for column, one in zip(columns_of(hands), hands, strict=True)
    ]
    data: dict[str, Any] = {
        'subtitle': _subtitle(result, other),
        'legend': [
            {'name': name[:-1].removesuffix('_finger'), 'color': color}
            for name, color in zip(
                hand_joints.JOINT_NAMES[1::4], FINGER_COLORS, strict=True
            )
        ],
        'notes': _notes(result, other, strip, stride),
        'count': len(shown),
        'total': len(result.frames),
        'stride': stride,
        'fps': (result.fps or IMAGES_PER_SECOND) / stride,
        'timed': result.fps is not None,
        'frame_names': list(result.frame_names[::stride]) or None,
        'image_size': [int(edge) for edge in result.image_size],
        'pictures': _pictures(strip, stride),
        'joints': list(hand_joints.JOINT_NAMES),
        'links': [list(link) for link in hand_joints.SKELETON],
        'link_colors': [
            FINGER_COLORS[(joint - 1) // 4] for _, joint in hand_joints.SKELETON
        ],
        'num_vertices': _num_vertices([*shown, *shown_other]),
        'faces': pack(result.faces, 'int32'),
        'columns': [
            {
                'name': column.name,
                'color': track_color(number),
                'offset': to_float_list(offsets[number]),
            }
            for number, column in enumerate(columns)
        ],
        'flat_title': 'Over the image' if strip.frames else 'In the image',
        'solid_title': '3D, metres from the wrist',
        'origin': 'wrist',
        'spacing': round(spacing, 4),
        'limits': scene_limits(points, _HAND_SIZE),
        'hands': _pack_hands(shown, columns),
        'other': None,
        'error': None,
    }
    if other is not None:
        curve = hand_errors(result, other)
        data['other'] = _pack_hands(shown_other, columns)
        data['error'] = pack(curve[::stride], 'float32')
        data['legend'].append({'name': _name(result, other), 'color': OTHER})
        data['error_label'] = 'MPJPE of each frame, wrists aligned'
        data['notes'].insert(0, error_note(curve, 'hands'))
    return data


def _pictures(strip: PictureStrip, stride: int) -> dict[str, Any] | None:
    if not strip.frames:
        return None
    frames = [number // stride for number in strip.frames]
    return {'frames': pack(frames, 'int32'), 'sizes': pack(strip.sizes, 'int32')}


def _from_wrist(one: Hand, points: NDArray) -> NDArray[np.float64]:
    wrist = one.keypoints_3d[hand_joints.WRIST]
    return np.asarray(points, np.float64) - np.asarray(wrist, np.float64)


def _reach(frames: Sequence[Sequence[Hand]]) -> float:
    """Width of the widest hand, metres."""
    widths = [float(np.ptp(one.vertices[:, 0])) for hands in frames for one in hands]
    return max(widths, default=_HAND_SIZE)


def _num_vertices(frames: Sequence[Sequence[Hand]]) -> int:
    counts = {len(one.vertices) for hands in frames for one in hands}
    if len(counts) > 1:
        raise ValueError(
            f'all hands must have the same number of vertices, got {sorted(counts)}'
        )
    return counts.pop() if counts else 0


def _pack_hands(
    frames: Sequence[Sequence[Hand]], columns: list[Column]
) -> dict[str, Any]:
    """Arrays over all hands, frame by frame."""
    kept = [
        [
            (columns.index(column), one)
            for column, one in zip(columns_of(hands), hands, strict=True)
        ]
        for hands in frames
    ]
    flat = [entry for entries in kept for entry in entries]
    hands = [one for _, one in flat]

    def stack(name: str) -> NDArray:
        return np.stack([getattr(one, name) for one in hands]) if hands else np.empty(0)

    return {
        'starts': pack(np.cumsum([0, *map(len, kept)]), 'int32'),
        'columns': pack([column for column, _ in flat], 'uint8'),
        'left': pack([one.side == 'left' for one in hands], 'uint8'),
        'vertices': pack_scaled(stack('vertices')),
        'translation': pack(stack('camera_translation'), 'float32'),
        'focal': pack(stack('focal_length'), 'float32'),
        'principal': pack(stack('principal_point'), 'float32'),
        'keypoints': pack(stack('keypoints'), 'float32'),
        'joints_3d': pack(stack('keypoints_3d'), 'float32'),
    }


def _name(result: HandMeshes, other: HandMeshes) -> str:
    return other_name(result.model, result.source, other.model, other.source)


def _subtitle(result: HandMeshes, other: HandMeshes | None) -> str:
    against = '' if other is None else f' beside {_name(result, other)} (grey)'
    count = sum(map(len, result.frames))
    return ' · '.join(
        (
            f'{result.model}{against}',
            plural(count, 'hand', 'hands'),
            describe_frames(len(result.frames), result.fps, result.image_size),
        )
    )


def _notes(
    result: HandMeshes, other: HandMeshes | None, strip: PictureStrip, stride: int
) -> list[str]:
    notes = [str(note) for note in result.notes]
    if other is not None:
        notes += [f'{_name(result, other)}: {note}' for note in other.notes]
    if not any(result.frames):
        notes.append('No hand was found.')
    notes.append(
        'Axes of the camera: x right, y down, z forward; places in metres from the '
        'wrist. Hands stand next to one another, not where they are in the scene. '
        'Frames count from 0.'
    )
    if stride > 1:
        notes.append(f'To bound the size of the page, one frame in {stride} is shown.')
    return notes + (strip.notes() if strip.frames else [])
