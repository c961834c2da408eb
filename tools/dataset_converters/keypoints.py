"""Brings a file of 2D keypoints from one format into another.

Reads MMPose's predictions, COCO's results and annotations, AlphaPose and arrays of
Human3.6M's joints (docs/inputs.md has the formats); follows people where the file has
no track numbers. The format of the output is told by its name: .npz for arrays of
Human3.6M's 17 joints, .json for MMPose's, unless --to says otherwise.

    python tools/dataset_converters/keypoints.py alphapose.json a.npz --video a.mp4
    python tools/dataset_converters/keypoints.py IN.json OUT.json --to coco --fps 30
"""

import argparse
from pathlib import Path

from mmssm.engine.cli import messages_for_users
from mmssm.inputs.keypoint_files import FORMATS, read_keypoints, write_keypoints
from mmssm.structures.h36m_joints import to_h36m
from mmssm.structures.joint_sets import JOINT_SETS
from mmssm.utils.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='file, or folder of MMPose files')
    parser.add_argument('destination', type=Path, help='file to write')
    parser.add_argument(
        '--from',
        dest='source_format',
        default='auto',
        choices=['auto', *FORMATS],
        help='format of the source (default: told by what it holds)',
    )
    parser.add_argument(
        '--to',
        dest='format',
        default='auto',
        choices=['auto', *FORMATS],
        help='format to write (default: told by the name)',
    )
    parser.add_argument(
        '--joint-set',
        choices=sorted(JOINT_SETS),
        help='joints of the source, where 17 of them are not COCO',
    )
    parser.add_argument(
        '--h36m', action='store_true', help="bring joints to Human3.6M's 17"
    )
    parser.add_argument(
        '--video', help='the clip, for size, frames per second and image names'
    )
    parser.add_argument(
        '--image-size',
        type=int,
        nargs=2,
        metavar=('WIDTH', 'HEIGHT'),
        help='pixels, where neither the source nor a video says it',
    )
    parser.add_argument('--fps', type=float, help='frames per second')
    parser.add_argument(
        '--first-image', type=int, help='number in the image ids that is frame 0'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    with messages_for_users():
        sequence = read_keypoints(
            args.source,
            args.source_format,
            joint_set=args.joint_set,
            image_size=args.image_size and tuple(args.image_size),
            fps=args.fps,
            video=args.video,
            first_image=args.first_image,
        )
        try:
            if args.h36m:
                sequence = to_h36m(sequence)
            write_keypoints(args.destination, sequence, args.format)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(str(error)) from error
    lengths = sum(len(track) for track in sequence.tracks)
    print(
        f'wrote {len(sequence.tracks)} people, {lengths:,} poses in '
        f'{sequence.num_frames:,} frames, to {args.destination}'
    )


if __name__ == '__main__':
    main()
