"""Files of 2D keypoints that other tools write.

==============  ================================================================
format          what it is
==============  ================================================================
``'mmpose'``    JSON of MMPose's inferencers and demos: people frame by frame;
                a folder of such files, one per image, too
``'coco'``      JSON of COCO keypoint results, or of COCO annotations
``'alphapose'`` JSON of AlphaPose, with ``idx`` where it tracked
``'h36m'``      ``.npz`` of Human3.6M's 17 joints in arrays
==============  ================================================================

The joint set is what the file says it is or, else, told by the number of joints: 17 is
COCO (in ``'h36m'`` Human3.6M), 26 Halpe, 33 MediaPipe, 133 COCO-WholeBody, and 136
Halpe's full body, of which the first 26 are taken.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from logging import INFO, WARNING
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmssm.inputs.formats import alphapose, coco, h36m, mmpose
from mmssm.inputs.formats.rows import (
    SOURCE,
    WHAT,
    Contents,
    KeypointFileError,
    MissingKeypointFile,
    Row,
)
from mmssm.inputs.frames import (
    DEFAULT_FPS,
    Frames,
    ImageFrames,
    VideoFrames,
    open_frames,
)
from mmssm.inputs.people import People, bboxes_around
from mmssm.inputs.tracking import TrackBuilder, track_people
from mmssm.structures.joint_sets import JOINT_SETS, get_joint_set, joint_set_of
from mmssm.structures.tracks import KeypointSequence, KeypointTrack
from mmssm.utils.annotation_files import read_json
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import open_atomically

FORMATS = ('mmpose', 'coco', 'alphapose', 'h36m')
"""The formats, besides ``'auto'``."""

_BY_COUNT = {17: 'coco', 26: 'halpe26', 33: 'mediapipe_pose', 133: 'coco_wholebody'}
_HALPE_FULL = 136


def looks_like_keypoints(path: Any) -> bool:
    """Whether something is the path of a keypoint file, or of a folder of them."""
    if Path(path).is_dir():
        return any(Path(path).glob('*.json'))
    return str(path).lower().endswith(('.json', '.npz'))


def read_keypoints(
    path: str | PathLike,
    format: str = 'auto',
    *,
    joint_set: str | None = None,
    image_size: tuple[int, int] | None = None,
    fps: float | None = None,
    video: Any = None,
    images: Sequence[str | int] | None = None,
    first_image: int | None = None,
    max_gap: int = 15,
) -> KeypointSequence:
    """Reads the people of a clip from a file.

    Where the file has no track numbers, people are followed by
    :class:`mmssm.inputs.tracking.PersonTracker`.

    Args:
        path: The file, or a folder of MMPose's files, one per image.
        format: One of :data:`FORMATS`; ``'auto'`` to tell it by the contents;
            ``'halpe26'`` and ``'coco_wholebody'`` likewise, with these joints.
        joint_set: Name of its joint set; default: what the file says, or what the
            number of joints tells.
        image_size: ``(width, height)`` in pixels; default: the video's or the file's.
        fps: Frames per second; default: the video's or the file's, else 25.
        video: The clip that the keypoints belong to, opened or as
            :func:`mmssm.inputs.open_frames` takes it, for sizes and numbers.
        images: Ids of the clip's images in order, or names of their files, for the
            formats that name images (``'coco'``, ``'alphapose'``, a folder of MMPose's
            files). Default: the files of a folder given as ``video``; else the numbers
            in the ids are those of the frames, and MMPose's files come one after the
            other.
        first_image: Which of these numbers is frame 0. Default: 0 if one of them is 0
            or if the ids are texts of a number and nothing else (``'12.jpg'``, as
            AlphaPose names the frames of a video), else the smallest, which is logged.
        max_gap: Most frames in a row in which a followed person may be missing.

    Returns:
        The tracks, with NaN and score 0 for missing joints. People without any joint
        are left out. Scores beyond 1 (raw heatmaps have such) are set to 1, which is
        logged. ``source`` is the name of the video, or else of the file.

    Raises:
        MissingKeypointFile: There is no such file.
        KeypointFileError: It is damaged, of no known format, does not hold, or the
            size of the images is not known; the message names the file and the place
            in it. A ``ValueError``.
    """
    if format in ('halpe26', 'coco_wholebody'):
        format, joint_set = 'auto', joint_set or format
    if format not in ('auto', *FORMATS):
        raise KeypointFileError(
            f"there is no keypoint format {format!r}; expected 'auto', "
            f"{', '.join(map(repr, FORMATS))}, 'halpe26' or 'coco_wholebody'"
        )
    if image_size is not None and len(tuple(image_size)) != 2:
        raise KeypointFileError(f'image_size must be (width, height), got {image_size}')
    with _opened(video) as frames:
        if images is None and isinstance(frames, ImageFrames):
            images = [one.name for one in frames.paths]
        try:
            contents = _read(Path(path), format, images, first_image)
            return _assemble(
                str(path), contents, joint_set, image_size, fps, frames, max_gap
            )
        except UserError:
            raise
        except FileNotFoundError as error:
            raise MissingKeypointFile(str(error)) from error
        except ValueError as error:
            raise KeypointFileError(str(error)) from error


def write_keypoints(
    path: str | PathLike, sequence: KeypointSequence, format: str = 'auto'
) -> None:
    """Writes the people of a clip into a file, whole or not at all.

    ``'mmpose'`` keeps everything. ``'coco'`` and ``'alphapose'`` have no place for the
    size of the images, their number, frames per second and the joint set;
    ``'h36m'`` brings joints to Human3.6M's and has no place for boxes.

    Args:
        path: The file.
        sequence: What to write.
        format: One of :data:`FORMATS`; ``'auto'`` for ``'h36m'`` where the name ends in
            ``.npz`` and ``'mmpose'`` where it ends in ``.json``.

    Raises:
        KeypointFileError: There is no such format, or it does not go with the name.
        ValueError: ``'h36m'``, and the joints cannot be brought to it.
        FileNotWrittenError: The file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if format == 'auto':
        format = {'.npz': 'h36m', '.json': 'mmpose'}.get(suffix, suffix)
    if format not in FORMATS:
        raise KeypointFileError(
            f'{path}: cannot tell a keypoint format by {format!r}; name the file .json '
            f'or .npz, or pass one of {", ".join(FORMATS)}'
        )
    if (suffix == '.npz') != (format == 'h36m'):
        wanted = '.npz' if format == 'h36m' else '.json'
        raise KeypointFileError(f'{path}: a file of {format} must end in {wanted}')
    with open_atomically(path) as file:
        for piece in _WRITERS[format](sequence):
            file.write(piece)


_WRITERS = {
    'mmpose': mmpose.write,
    'coco': coco.write,
    'alphapose': alphapose.write,
    'h36m': h36m.write,
}


def _opened(video: Any) -> Any:
    if video is None or isinstance(video, Frames):
        return nullcontext(video)
    return open_frames(video)


def _read(
    path: Path,
    format: str,
    images: Sequence[str | int] | None,
    first_image: int | None,
) -> Contents:
    if path.is_dir():
        if format not in ('auto', 'mmpose'):
            raise KeypointFileError(f'{path} is a folder; {format} is one file')
        return mmpose.read_folder(path, images)
    if path.suffix.lower() == '.npz':
        if format not in ('auto', 'h36m'):
            raise KeypointFileError(f'{path} is an .npz; {format} is JSON')
        return h36m.read(str(path))
    if format == 'h36m':
        raise KeypointFileError(f'{path}: expected h36m as an .npz, by that name')
    data = read_json(str(path), WHAT, SOURCE)
    kind = _tell(str(path), data) if format == 'auto' else format
    if kind == 'mmpose':
        return mmpose.read(str(path), data)
    if kind == 'alphapose':
        return alphapose.read(str(path), data, images, first_image)
    if isinstance(data, Mapping):
        return coco.read_annotations(str(path), data)
    return coco.read(str(path), data, images, first_image)


def _tell(path: str, data: Any) -> str:
    """The format of a JSON file, by what it holds."""
    if isinstance(data, Mapping):
        if 'instance_info' in data:
            return 'mmpose'
        if 'annotations' in data and 'images' in data:
            return 'coco'
        if alphapose.is_by_image(data):
            return 'alphapose'
    if isinstance(data, list) and not data:
        raise KeypointFileError(
            f'{path} is an empty list: nobody was found, or it was not finished; pass '
            "format='mmpose', 'coco' or 'alphapose' if that is meant"
        )
    first = data[0] if isinstance(data, list) else None
    if isinstance(first, Mapping):
        if 'instances' in first or 'keypoint_scores' in first:
            return 'mmpose'
        if 'image_id' in first and 'keypoints' in first:
            named = isinstance(first['image_id'], str)
            return 'alphapose' if named or 'idx' in first else 'coco'
    found = sorted(map(str, first))[:8] if isinstance(first, Mapping) else None
    if found is None:
        found = sorted(map(str, data))[:8] if isinstance(data, Mapping) else []
    raise KeypointFileError(
        f'{path} is in none of the known formats ({", ".join(FORMATS)}): expected a '
        'list of people or of frames with "instances", found '
        f'{type(data).__name__} with {found}'
    )


def _assemble(
    path: str,
    contents: Contents,
    joint_set: str | None,
    image_size: tuple[int, int] | None,
    fps: float | None,
    video: Frames | None,
    max_gap: int,
) -> KeypointSequence:
    rows = contents.rows
    name, rows = _settle_joints(path, rows, joint_set, contents.joint_names)
    rows = [row for row in rows if row.scores.any()]
    size = image_size or (video and video.image_size) or contents.image_size
    if not size:
        raise KeypointFileError(
            f'{path} does not say how large its images are; pass image_size=(width, '
            'height) in pixels, or video=, the clip it belongs to'
        )
    rate = fps or (video and video.fps) or contents.fps
    if not rate:
        print_log(
            f'{path} does not say its frames per second: {DEFAULT_FPS:.0f} are taken; '
            'pass fps, or video, to say it',
            'current',
            INFO,
        )
    num_frames = contents.num_frames
    if video is not None and video.num_frames is not None:
        length = video.num_frames
        if num_frames > length and isinstance(video, VideoFrames):
            length = video.count()  # its header may declare too few
        if num_frames > length:
            raise KeypointFileError(
                f'{path} has {num_frames} frames, and {video.name} has {length}: they '
                'do not belong together'
            )
        num_frames = length
    high = [row.where for row in rows if row.scores.max(initial=0) > 1]
    if high:
        print_log(
            f'{path}: {len(high)} people have scores above 1, first {high[0]}; they '
            'are set to 1',
            'current',
            WARNING,
        )
    tracks = _make_tracks(path, rows, (int(size[0]), int(size[1])), max_gap)
    return KeypointSequence(
        tracks,
        name,
        (int(size[0]), int(size[1])),
        float(rate or DEFAULT_FPS),
        num_frames,
        Path(path).name if video is None else video.name,
    )


def _settle_joints(
    path: str,
    rows: list[Row],
    joint_set: str | None,
    names: Sequence[str] | None,
) -> tuple[str, list[Row]]:
    """The name of the joint set, and rows that hold its joints."""
    counts = {len(row.scores): row.where for row in rows}
    if len(counts) > 1:
        raise KeypointFileError(
            f'{path}: people have different numbers of joints: '
            + ', '.join(f'{count} in {where}' for count, where in counts.items())
        )
    count = next(iter(counts), None)
    if count == _HALPE_FULL and joint_set in (None, 'halpe26'):
        return 'halpe26', [row.first(26) for row in rows]
    # COCO-WholeBody's annotations name the joints of the body alone
    if joint_set is None and names and count in (None, len(names)):
        joint_set = joint_set_of(names)
        if joint_set is None:
            raise KeypointFileError(
                f'{path}: its {len(names)} joints ({", ".join(names[:5])}, ...) are '
                f'those of no known set, {", ".join(sorted(JOINT_SETS))}; if they are '
                'of one under other names, pass joint_set'
            )
    if joint_set is None:
        if count is None:
            joint_set = 'coco'
        elif count not in _BY_COUNT:
            raise KeypointFileError(
                f'{path}: no joint set of {count} joints is known, only '
                + ', '.join(f'{one.name} ({one.num_joints})' for one in _sets())
            )
        else:
            joint_set = _BY_COUNT[count]
            print_log(f'{path}: {count} joints are taken as {joint_set}', 'current')
    wanted = get_joint_set(joint_set).num_joints
    if count is not None and count != wanted:
        where = counts[count]
        raise KeypointFileError(
            f'{path}: {where} has {count} joints, and {joint_set} has {wanted}'
        )
    return joint_set, rows


def _sets() -> list:
    return sorted(JOINT_SETS.values(), key=lambda one: one.num_joints)


def _make_tracks(
    path: str, rows: list[Row], image_size: tuple[int, int], max_gap: int
) -> list[KeypointTrack]:
    numbered = [row for row in rows if row.track_id is not None]
    if numbered and len(numbered) < len(rows):
        without = next(row for row in rows if row.track_id is None)
        raise KeypointFileError(
            f'{path}: {without.where} has no track number, and {numbered[0].where} has '
            'one; number all or none'
        )
    seen: dict[tuple[int, int | None], str] = {}
    for row in numbered:
        other = seen.setdefault((row.frame, row.track_id), row.where)
        if other is not row.where:
            raise KeypointFileError(
                f'{path}: {row.where} has the track number {row.track_id}, which '
                f'{other} of the same frame has too'
            )
    by_frame: dict[int, list[Row]] = {}
    for row in rows:
        by_frame.setdefault(row.frame, []).append(row)
    people = {frame: _people(found) for frame, found in by_frame.items()}
    if not numbered:
        return track_people(people, image_size, max_gap)
    builder = TrackBuilder()
    for frame, found in sorted(by_frame.items()):
        builder.add(frame, people[frame], np.array([row.track_id for row in found]))
    return builder.tracks()


def _people(rows: list[Row]) -> People:
    keypoints = np.stack([row.keypoints for row in rows])
    scores = np.stack([row.scores for row in rows]).clip(0, 1)
    bboxes = bboxes_around(keypoints, scores)
    for index, row in enumerate(rows):
        if row.bbox is not None:
            bboxes[index] = row.bbox
    return People(keypoints, scores, bboxes)
