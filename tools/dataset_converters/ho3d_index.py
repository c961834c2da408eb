"""Gathers HO-3D's annotations in one file, which a dataset reads in seconds.

HO-3D and H2O-3D have an annotation file for each image. This reads those of a split
once, and writes joints, poses, shapes, cameras and boxes to one .npz; images stay
where they are.

    python tools/dataset_converters/ho3d_index.py data/ho3d/HO3D_v3 --version v3
    python tools/dataset_converters/ho3d_index.py DIR --version h2o3d --split train
"""

import argparse
from pathlib import Path

from mmssm.datasets import hand_index, ho3d_files
from mmssm.engine.cli import messages_for_users
from mmssm.utils.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='folder of train.txt')
    parser.add_argument('--version', required=True, choices=ho3d_files.VERSIONS)
    parser.add_argument('--split', default='train', choices=ho3d_files.SPLITS)
    parser.add_argument(
        '--with-vertices',
        action='store_true',
        help='of an evaluation split, evaluation_verts.json too',
    )
    parser.add_argument(
        '--out',
        type=Path,
        help='file to write (default: index_SPLIT.npz there)',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    root, out = str(args.root), args.out or args.root / f'index_{args.split}.npz'
    with messages_for_users():
        if out.suffix != '.npz':
            raise UserError(f'expected a file that ends in .npz, got {out}')
        try:
            hands = ho3d_files.read_hands(
                root, args.version, args.split, args.with_vertices
            )
            hand_index.write_index(str(out), root, hands)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
    print(f'\nwrote {len(hands.row):,} hands of {hands.total:,} images to {out}')


if __name__ == '__main__':
    main()
