"""Looks through HaMeR's training tars once, and writes where each hand lies.

The index is a few hundred bytes a hand; images and annotations stay in the tars.
Tars with members that lead out of a folder, links or pickles that ask for code are
refused.

    python tools/dataset_converters/hamer_index.py data/hamer/dataset_tars/*
"""

import argparse
from pathlib import Path

from mmssm.datasets import hamer_files
from mmssm.engine.cli import messages_for_users
from mmssm.utils.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'folders', nargs='+', type=Path, help='folders of tars, such as freihand-train'
    )
    parser.add_argument(
        '--name', default='index.npz', help='file to write in each (default: index.npz)'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    with messages_for_users():
        if Path(args.name).suffix != '.npz':
            raise UserError(f'expected a name that ends in .npz, got {args.name}')
        for folder in args.folders:
            try:
                index = hamer_files.scan_tars(hamer_files.list_tars(str(folder)))
                hamer_files.write_index(str(folder / args.name), index)
            except (ValueError, FileNotFoundError) as error:
                raise UserError(str(error)) from error
            print(f'\nwrote {len(index.tar):,} hands to {folder / args.name}')


if __name__ == '__main__':
    main()
