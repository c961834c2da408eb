"""Gathers DexYCB's labels in one file, which a dataset reads in seconds.

DexYCB has a label file for each of its 582,000 frames. This reads all of them
once, and writes joints, poses, shapes, cameras and splits' places to one .npz (a third
of a gigabyte); images stay where they are.

    python tools/dataset_converters/dexycb_index.py data/dexycb
    python tools/dataset_converters/dexycb_index.py DIR --out FILE --partial
"""

import argparse
from pathlib import Path

from mmssm.datasets import dexycb_files
from mmssm.engine.cli import messages_for_users
from mmssm.utils.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='folder of the subjects')
    parser.add_argument(
        '--out', type=Path, help='file to write (default: index.npz in the folder)'
    )
    parser.add_argument(
        '--partial', action='store_true', help='take what is there of a part of it'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    out = args.out or args.root / 'index.npz'
    with messages_for_users():
        if out.suffix != '.npz':
            raise UserError(f'expected a file that ends in .npz, got {out}')
        try:
            frames = dexycb_files.write_index(str(args.root), str(out), args.partial)
            dexycb_files.read_index(str(out))
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
    print(f'\nwrote {frames:,} frames to {out}')


if __name__ == '__main__':
    main()
