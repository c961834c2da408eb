"""Lifts the people of videos, images or keypoint files to 3D.

    mmssm lift walk.mp4 --out DIR
    mmssm lift FOLDER --out DIR                          its images are a video's frames
    mmssm lift walk.mp4 --keypoints walk.json --out DIR  2D joints are known
    mmssm lift walk.json --out DIR                       and there is no video
    mmssm lift walk.mp4 --frontend body26 --model posemamba-s-h36m --weights FILE

Without `--keypoints` a 2D front end looks for people and follows them through the
video; which one is printed.

For each input these appear in DIR, each file whole or not at all: NAME_2d.json, the 2D
joints; NAME.json and NAME.npz, the people in 3D (metres, axes of the camera: x right, y
down, z forward, relative to the root joint); NAME.mp4, the video with what was found;
NAME.html, a page that plays it in a browser. A run that was stopped goes on where it
was: what is there and was made with the same settings is not made again.

The small network that ships was trained for minutes on half a minute of motion: it
shows how things work, not how well.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmssm.utils.errors import UsageError, UserError

if TYPE_CHECKING:
    from mmssm.apis.lifting_files import LiftingFiles
    from mmssm.apis.pose_lifter_inferencer import PoseLifterInferencer
    from mmssm.apis.results import LiftingResult
    from mmssm.structures.tracks import KeypointSequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='video, folder of images that are the frames of a video, image, or '
        'keypoint file (.json, .npz)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/lift'),
        metavar='DIR',
        help='folder for all files (default: work_dirs/lift)',
    )
    _add_joints(parser.add_argument_group('2D joints'))
    _add_network(parser.add_argument_group('the lifter'))
    _add_place(parser.add_argument_group('size and place'))
    output = parser.add_argument_group('output')
    output.add_argument(
        '--compare',
        type=Path,
        metavar='FILE',
        help='another result (NAME.json of another model, or of the truth) that the '
        'page shows beside this one',
    )
    output.add_argument('--no-video', action='store_true', help='write no video')
    output.add_argument('--no-page', action='store_true', help='write no page')


def _add_joints(group: Any) -> None:
    group.add_argument(
        '--keypoints',
        type=Path,
        metavar='FILE',
        help='2D joints of the video: predictions of MMPose, COCO, Halpe-26, '
        'COCO-WholeBody, AlphaPose (.json) or Human3.6M (.npz)',
    )
    group.add_argument(
        '--joint-set',
        metavar='NAME',
        help='which joints a keypoint file has, if it does not say so',
    )
    group.add_argument(
        '--image-size',
        nargs=2,
        type=int,
        metavar=('WIDTH', 'HEIGHT'),
        help='of the images that a keypoint file belongs to, if it does not say so',
    )
    group.add_argument(
        '--frontend',
        default='mediapipe',
        help="what finds people and their joints: mediapipe, or a model of MMPose's by "
        'alias or config (default: mediapipe)',
    )
    group.add_argument(
        '--max-people',
        type=int,
        default=4,
        metavar='N',
        help='how many the front end mediapipe looks for (default: 4)',
    )
    group.add_argument(
        '--fps', type=float, help='frames per second, instead of what the video says'
    )
    group.add_argument(
        '--min-score',
        type=float,
        default=0.3,
        help='joints of less confidence count as missing (default: 0.3)',
    )
    group.add_argument(
        '--max-gap',
        type=int,
        default=15,
        metavar='FRAMES',
        help='longest run of missing frames that is filled in (default: 15)',
    )


def _add_network(group: Any) -> None:
    group.add_argument(
        '--model',
        '--config',
        default='posemamba-mocap-27frm',
        help='name of a model (mmssm list --task body_3d_keypoint), or a config file '
        '(default: posemamba-mocap-27frm)',
    )
    group.add_argument(
        '--weights',
        '--checkpoint',
        metavar='FILE',
        help="its weights, .pth or .safetensors (default: the model's own)",
    )
    group.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU)')
    group.add_argument(
        '--dtype',
        choices=('float32', 'float64', 'bfloat16', 'float16'),
        default='float32',
        help='precision; of the last two, that of matrix products (default: float32)',
    )
    group.add_argument(
        '--batch-size',
        type=int,
        default=32,
        metavar='N',
        help='windows at once, over time and people (default: 32)',
    )
    group.add_argument(
        '--window', type=int, metavar='FRAMES', help="length (default: the model's)"
    )
    group.add_argument(
        '--overlap',
        type=int,
        metavar='FRAMES',
        help='of one window with the next (default: half a window)',
    )
    group.add_argument(
        '--flip-test',
        action=argparse.BooleanOptionalAction,
        default=None,
        help='lift the mirrored video too and take the mean (default: as the config)',
    )


def _add_place(group: Any) -> None:
    group.add_argument(
        '--stature',
        type=float,
        default=1.7,
        metavar='METRES',
        help='height of the people, which sets the scale (default: 1.7); 0 keeps '
        "MMPose's 4 mm for every pixel",
    )
    group.add_argument(
        '--place-root',
        action='store_true',
        help='place people before the camera (by weak perspective)',
    )
    group.add_argument(
        '--focal-length',
        type=float,
        metavar='PIXELS',
        help="of the camera, for --place-root (default: the image's diagonal)",
    )


def main(args: argparse.Namespace) -> int:
    """Lifts all inputs.

    Returns:
        0, or 1 if an input could not be lifted.

    Raises:
        UsageError: Arguments do not fit each other.
        UserError: An input, the lifter or the front end is not there.
    """
    _check(args)
    from mmssm.apis.hand_files import safe_name
    from mmssm.engine.cli import messages_for_users

    with messages_for_users():
        lifter = _lifter(args)
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f'--out {args.out}: {error.strerror}') from error
        taken: set[str] = set()
        failed = 0
        for source in map(Path, args.inputs):
            path = source.resolve()
            name = safe_name(path.stem, str(path), taken)
            try:
                _lift(args, lifter, source, name)
            except (UserError, ValueError) as error:
                if len(args.inputs) == 1:
                    raise UserError(str(error)) from error
                print(f'{source}: {error}', file=sys.stderr, flush=True)
                failed += 1
    return int(failed > 0)


def _lifter(args: argparse.Namespace) -> 'PoseLifterInferencer':
    from mmssm.apis.catalog import resolve_model
    from mmssm.apis.pose_lifter_inferencer import PoseLifterInferencer

    resolve_model(args.model, args.weights)  # before a front end is loaded
    try:
        return PoseLifterInferencer(
            args.model,
            args.weights,
            device=args.device,
            dtype=args.dtype,
            batch_size=args.batch_size,
            frontend=_frontend(args),
            window=args.window,
            overlap=args.overlap,
            flip_test=args.flip_test,
            min_score=args.min_score,
            max_gap=args.max_gap,
            stature=args.stature or None,
            place_root=args.place_root,
            focal_length=args.focal_length,
        )
    except ValueError as error:
        raise UserError(str(error)) from error


def _check(args: argparse.Namespace) -> None:
    if args.keypoints is not None and len(args.inputs) > 1:
        raise UsageError('--keypoints are those of one video, and there are more')
    for source in args.inputs:
        is_camera = source.isdigit() or source.lower().split(':')[0] == 'webcam'
        if '://' in source or (is_camera and not Path(source).exists()):
            raise UsageError(
                f'{source} has no end: record it first, or take it with '
                'PoseLifterInferencer.stream in Python'
            )
    for source in [*args.inputs, args.keypoints, args.compare]:
        if source is not None and not Path(source).exists():
            raise UserError(f'there is no file {source}')
    numbers = {
        '--batch-size': args.batch_size,
        '--max-people': args.max_people,
        '--window': args.window or 1,
    }
    for name, number in numbers.items():
        if number < 1:
            raise UsageError(f'{name} is 1 or more, got {number}')
    if args.stature < 0 or (args.focal_length is not None and args.focal_length <= 0):
        raise UsageError('--stature and --focal-length are positive')
    if not 0 <= args.min_score <= 1 or args.max_gap < 0:
        raise UsageError('--min-score lies in [0, 1], --max-gap is 0 or more')
    files = [source for source in args.inputs if _is_keypoints(source)]
    if files and args.keypoints is not None:
        raise UsageError(f'--keypoints are those of a video, and {files[0]} is none')
    if not files and args.image_size is not None:
        raise UsageError('--image-size is for keypoint files: a video has its own')
    if not files and args.keypoints is None and args.joint_set is not None:
        raise UsageError('--joint-set is what a keypoint file has, and there is none')


def _frontend(args: argparse.Namespace) -> Any:
    """What finds 2D joints; loaded now, so that what it lacks is said at once."""
    from mmssm.inputs import pose2d

    if args.keypoints is not None:
        return pose2d(args.keypoints, joint_set=args.joint_set, max_gap=args.max_gap)
    if all(map(_is_keypoints, args.inputs)):
        return args.frontend
    if args.frontend == 'mediapipe':
        return pose2d('mediapipe', max_people=args.max_people, max_gap=args.max_gap)
    return pose2d(args.frontend, max_gap=args.max_gap, device=args.device)


def _is_keypoints(source: str | Path) -> bool:
    from mmssm.apis.pose_lifter_inferencer import is_keypoint_file

    return is_keypoint_file(source)


def _lift(
    args: argparse.Namespace, lifter: 'PoseLifterInferencer', source: Path, name: str
) -> None:
    """Writes the files of one input."""
    from mmssm.apis.lifting_files import LiftingFiles
    from mmssm.apis.results import read_lifting_result

    given = [*args.inputs, args.keypoints, args.compare]
    inputs = [Path(one) for one in given if one is not None]
    files = LiftingFiles(args.out, name, _settings(args, lifter, source), inputs)
    other = None if args.compare is None else read_lifting_result(args.compare)
    result = files.read_result()
    if result is None:
        sequence, frontend, notes = _tracks(args, lifter, files, source)
        if not sequence.tracks:
            raise UserError(
                f'nobody was found in the {sequence.num_frames} frames of {source} by '
                f'{frontend}; look at them, or give 2D joints with --keypoints'
            )
        result = lifter.lift(sequence, frontend, notes)
        if not result.persons:
            raise UserError(f'{source}: {"; ".join(result.notes)}')
        files.write_result(result)
    video = None if _is_keypoints(source) else source
    if video is not None and not args.no_video:
        files.write_video(result, video)
    if not args.no_page:
        files.write_page(result, video, other)
    _say(result, files)


def _tracks(
    args: argparse.Namespace,
    lifter: 'PoseLifterInferencer',
    files: 'LiftingFiles',
    source: Path,
) -> 'tuple[KeypointSequence, str, tuple[str, ...]]':
    """The 2D joints, of an earlier run if there are some."""
    from mmssm.inputs import read_keypoints

    found = files.read_tracks()
    if found is not None:
        return found
    if _is_keypoints(source):
        sequence = read_keypoints(
            source,
            joint_set=args.joint_set,
            image_size=None if args.image_size is None else tuple(args.image_size),
            fps=args.fps,
            max_gap=args.max_gap,
        )
        found = sequence, f'keypoint file {source.name}', ()
    else:
        found = lifter.find_keypoints(source, fps=args.fps)
    files.write_tracks(*found)
    return found


def _settings(
    args: argparse.Namespace, lifter: 'PoseLifterInferencer', source: Path
) -> dict[str, dict[str, Any]]:
    """All that decides on the files, by stage."""
    tracks = dict(
        source=_stamp(source),
        keypoints=_stamp(args.keypoints),
        frontend=args.frontend,
        joint_set=args.joint_set,
        image_size=args.image_size,
        max_people=args.max_people,
        max_gap=args.max_gap,
        fps=args.fps,
    )
    result = dict(
        model=lifter.name,
        weights=_stamp(lifter.lifter.weights),
        dtype=args.dtype,
        windows=[lifter.windows.length, lifter.windows.overlap],
        flip_test=lifter.lifter.flip_test,
        min_score=args.min_score,
        stature=args.stature,
        root=[args.place_root, args.focal_length],
        compare=_stamp(args.compare),
    )
    return {'tracks': tracks, 'result': result}


def _stamp(path: Path | None) -> list[Any] | None:
    """What tells whether a file or the files of a folder have changed."""
    if path is None:
        return None
    parts = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [part.stat() for part in parts]
    return [
        str(path.resolve()),
        len(parts),
        sum(stat.st_size for stat in stats),
        max((stat.st_mtime_ns for stat in stats), default=0),
    ]


def _say(result: 'LiftingResult', files: 'LiftingFiles') -> None:
    from mmssm.visualization.viewer.page import plural

    people = plural(len(result.persons), 'person', 'people')
    frames = plural(result.num_frames, 'frame', 'frames')
    print(f'{result.source}: {people} in {frames}')
    for note in result.notes:
        print(f'  {note}')
    for ending in ('_2d.json', '.json', '.npz', '.mp4', '.html'):
        if files.has(ending):
            print(f'  {files.path(ending)}')
