"""Finds hand meshes in images, folders of images, videos and cameras.

    mmssm hand photo.jpg --out DIR                       hands are looked for
    mmssm hand photo.jpg --bbox 40 60 180 200 --out DIR  a box is known
    mmssm hand FOLDER VIDEO.mp4 --side left --bbox 40 60 180 200 --out DIR
    mmssm hand photo.jpg --det-config CONFIG --det-checkpoint FILE
    mmssm hand photo.jpg --model hamba --weights FILE

`--bbox` takes left, top, right and bottom of a hand in pixels, about its joints, the
same in all frames. Without it a front end looks for hands and tells left from right;
which one is printed.

For each image these appear in DIR, one image after the other, each file whole or not
at all: NAME_overlay.png, the meshes over the image; NAME_views.png, each hand from the
side and from above; NAME_hand0.obj and on, metres in the camera's frame (x right, y
down, z forward); NAME.html, a page to turn them in a browser; and last NAME.json with
all numbers. Frames of a video are called NAME_000000 and on; NAME.npz, NAME.html and
NAME.mp4 are of the whole video. A run that was stopped goes on where it was: frames
that are there, made with the same settings, are not looked at again.

The small network that ships was trained on generated pictures of one hand for
minutes: it shows how things work, not how well.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmssm.utils.errors import UsageError, UserError

if TYPE_CHECKING:
    from mmssm.apis.hand_boxes import HandFinder
    from mmssm.apis.hand_files import HandFiles
    from mmssm.apis.hand_mesh_inferencer import HandMeshInferencer
    from mmssm.apis.results import HandResult

SIDES = ('right', 'left')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='image, folder of images, video; webcam, or webcam:1 for the second one',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/hands'),
        metavar='DIR',
        help='folder for all files (default: work_dirs/hands)',
    )
    where = parser.add_argument_group('where the hands are')
    where.add_argument(
        '--bbox',
        nargs='+',
        type=float,
        metavar='PIXELS',
        help='left, top, right, bottom of a hand; four more for each further hand',
    )
    where.add_argument(
        '--side',
        '--hand',
        nargs='+',
        choices=SIDES,
        help='which hand it is: one answer for all, or one for each box (default: '
        'right with --bbox or a detector, else what the front end says)',
    )
    where.add_argument(
        '--frontend',
        default='mediapipe',
        help='what looks for hands without --bbox (default: mediapipe)',
    )
    where.add_argument(
        '--max-hands',
        type=int,
        default=2,
        metavar='N',
        help='how many the front end looks for (default: 2)',
    )
    where.add_argument(
        '--mirrored',
        action='store_true',
        help='pictures are mirrored, as selfie cameras show them: the front end tells '
        'left from right the other way round',
    )
    where.add_argument('--det-config', help='config of a detector (MMDetection)')
    where.add_argument('--det-checkpoint', help='its weights')
    where.add_argument(
        '--det-category', type=int, default=0, help="the hands' class (default: 0)"
    )
    where.add_argument(
        '--det-score', type=float, default=0.5, help='least score (default: 0.5)'
    )
    network = parser.add_argument_group('the network')
    network.add_argument(
        '--model',
        '--config',
        default='hamba-small-synthhand',
        help='name of a model (mmssm list --task hand_mesh), or a config file '
        '(default: hamba-small-synthhand)',
    )
    network.add_argument(
        '--weights',
        '--checkpoint',
        metavar='FILE',
        help="its weights, .pth or .safetensors (default: the model's own)",
    )
    network.add_argument(
        '--focal-length',
        type=float,
        metavar='PIXELS',
        help='of the images (default: far away; depths are only as right as this is)',
    )
    network.add_argument('--device', help='such as cpu or cuda:0 (default: a GPU)')
    network.add_argument(
        '--dtype',
        choices=('float32', 'bfloat16', 'float16'),
        default='float32',
        help='what matrix products are computed in (default: float32)',
    )
    network.add_argument(
        '--batch-size',
        type=int,
        default=16,
        metavar='N',
        help='hands looked at at once, over frames (default: 16)',
    )
    parser.add_argument(
        '--max-frames', type=int, metavar='N', help='stop a video or camera after N'
    )
    parser.add_argument('--no-page', action='store_true', help='write no HTML')


def main(args: argparse.Namespace) -> int:
    """Looks at all inputs.

    Returns:
        0, or 1 if an image could not be used.

    Raises:
        UsageError: Arguments do not fit each other.
        UserError: An input, the network or what finds hands is not there.
    """
    _check(args)
    for source in args.inputs:
        if not (Path(source).exists() or _is_live(source)):
            raise UserError(f'there is no file {source}')
        if Path(source).is_dir() and Path(source).resolve() == args.out.resolve():
            raise UserError(
                f'{source} is the folder of the pictures, and pictures of meshes there '
                'would be taken for more of them: give another folder with --out'
            )

    from mmssm.apis.catalog import resolve_model

    resolve_model(args.model, args.weights)  # before what takes seconds is imported

    from mmssm.apis.hand_mesh_inferencer import HandMeshInferencer
    from mmssm.engine.cli import messages_for_users

    with messages_for_users():
        infer = HandMeshInferencer(
            args.model,
            args.weights,
            args.device,
            args.dtype,
            args.batch_size,
            _finder(args),
            args.focal_length,
            show_progress=False,
        )
        bboxes = None if args.bbox is None else _boxes(args.bbox)
        notes = infer.notes_on(bboxes, _sides(args))
        print(f'{infer.name} on {infer.device}', *notes, sep='\n', flush=True)
        done, failed = _look_at_all(args, infer, notes)
    print(f'{done} images in {args.out}, {failed} could not be used')
    return int(failed > 0)


def _check(args: argparse.Namespace) -> None:
    boxes = None if args.bbox is None else len(args.bbox) / 4
    if boxes is not None and boxes != int(boxes):
        raise UsageError(f'--bbox takes four numbers for a hand, got {len(args.bbox)}')
    sides = len(args.side or ['right'])
    if boxes is None and sides != 1:
        raise UsageError('without --bbox, --side has one answer for all hands')
    if boxes is not None and sides not in (1, boxes):
        raise UsageError(f'{sides} answers of --side for {int(boxes)} boxes')
    if (args.det_config is None) != (args.det_checkpoint is None):
        raise UsageError('--det-config and --det-checkpoint belong together')
    if args.focal_length is not None and not args.focal_length > 0:
        raise UsageError(f'--focal-length must be positive, got {args.focal_length}')
    for name in ('batch_size', 'max_frames', 'max_hands'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f'--{name.replace("_", "-")} must be 1 or more')


def _is_live(source: str) -> bool:
    return '://' in source or source.lower().split(':')[0] == 'webcam'


def _boxes(numbers: Sequence[float]) -> list[Sequence[float]]:
    return [numbers[i : i + 4] for i in range(0, len(numbers), 4)]


def _sides(args: argparse.Namespace) -> Any:
    if args.side is None:
        return None
    return args.side[0] if len(args.side) == 1 else args.side


def _finder(args: argparse.Namespace) -> 'HandFinder | str':
    """What looks for hands: loaded here, so that what it lacks is said at once."""
    from mmssm.apis.hand_boxes import DetectedHands, make_finder

    if args.bbox is not None:
        return args.frontend
    if args.det_config is None:
        return make_finder(args.frontend, args.mirrored, args.max_hands)
    return DetectedHands(
        args.det_config,
        args.det_checkpoint,
        args.det_category,
        args.det_score,
        device=args.device or 'cpu',
    )


def _look_at_all(
    args: argparse.Namespace, infer: 'HandMeshInferencer', notes: Sequence[str]
) -> tuple[int, int]:
    """Writes the files of all inputs; returns how many, and how many failed."""
    from mmssm.apis.hand_files import HandFiles

    args.out.mkdir(parents=True, exist_ok=True)
    settings = dict(
        model=infer.name,
        weights=str(infer.weights),
        stamp=infer.weights.stat().st_mtime_ns,
        bbox=args.bbox,
        side=args.side,
        frontend=[args.frontend, args.mirrored, args.max_hands],
        detector=[args.det_config, args.det_checkpoint, args.det_category],
        score=args.det_score,
        focal_length=args.focal_length,
        dtype=args.dtype,
    )
    taken: set[str] = set()
    done = failed = 0
    for source in args.inputs:
        try:
            files = HandFiles(
                *(args.out, source, infer.faces, infer.name, settings, taken, notes),
                pages=not args.no_page,
            )
            failed += _look_at(args, infer, files)
            done += files.num_done
        except ValueError as error:  # the source as a whole
            _complain(f'{source}: {error}')
            failed += 1
    return done, failed


def _look_at(
    args: argparse.Namespace, infer: 'HandMeshInferencer', files: 'HandFiles'
) -> int:
    """Writes the files of one input; returns how many images failed."""
    bboxes = None if args.bbox is None else _boxes(args.bbox)
    failed = 0
    frames = infer.stream(
        files.source,
        bboxes,
        _sides(args),
        skip_unusable=True,
        wanted=_up_to(args.max_frames, files.is_missing),
    )
    try:
        for frame in frames:
            place = files.place(frame.number, frame.name)
            if frame.problem is not None:
                _complain(f'{place}: {frame.problem}')
                failed += 1
                continue
            files.write(frame)
            print(f'{place}: {_told(frame.hands)}', flush=True)
            if frame.number + 1 == args.max_frames:
                break
    except KeyboardInterrupt:
        if not _is_live(files.source):
            raise
    if files.from_before:
        print(f'{files.source}: {files.from_before} images were done before')
    if files.is_video and files.num_done:
        files.finish()
    return failed


def _up_to(
    number: int | None, wanted: Callable[[int, str], bool]
) -> Callable[[int, str], bool]:
    return lambda frame, name: (
        (number is None or frame < number) and wanted(frame, name)
    )


def _told(hands: Sequence['HandResult']) -> str:
    return ', '.join(f'{hand.side} hand' for hand in hands) or 'no hand found'


def _complain(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
