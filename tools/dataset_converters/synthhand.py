#!/usr/bin/env python
r"""Draws and renders synthetic hands into a data set.

    python tools/dataset_converters/synthhand.py --out data/synthhand --num 2000
    python tools/dataset_converters/synthhand.py --out data/synthhand_depth \
        --num 2000 --variant depth

``rgb`` writes FreiHAND's layout, which ``mmssm.FreiHAND3DDataset`` reads;
``depth`` writes NYU's, which ``mmssm.NYUHandDataset`` reads. MANO parameters in
the files are those of the free hand of this package
(docs/datasets/synthhand.md).
"""

import argparse
import os
import sys
from pathlib import Path

from mmssm.datasets.synthhand.files import write_synthhand
from mmssm.datasets.synthhand.samples import SAMPLERS


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--out', type=Path, required=True, help='folder to write, must not exist'
    )
    parser.add_argument('--num', type=int, required=True, help='training images')
    parser.add_argument(
        '--num-evaluation',
        type=int,
        help='evaluation images (default: a tenth of --num, at least 1)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed (default: 0)')
    parser.add_argument(
        '--variant',
        choices=list(SAMPLERS),
        default='rgb',
        help='rgb: colour, FreiHAND; depth: NYU (default: rgb)',
    )
    parser.add_argument(
        '--max-turn',
        type=float,
        default=180.0,
        help='degrees that hands are turned, at most, from an open palm before the '
        'camera, fingers up (default: 180, any direction alike)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        help='processes; the bytes written do not depend on it (default: all cores)',
    )
    args = parser.parse_args(arguments)
    evaluation = args.num_evaluation
    if evaluation is None:
        evaluation = max(1, args.num // 10)
    try:
        write_synthhand(
            args.out,
            args.num,
            evaluation,
            args.seed,
            args.variant,
            args.workers,
            args.max_turn,
        )
    except (ValueError, OSError) as error:
        print(f'{parser.prog}: error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'\n{parser.prog}: interrupted, nothing was kept', file=sys.stderr)
        return 130
    print(f'{args.out}: {args.num} training and {evaluation} evaluation images')
    return 0


if __name__ == '__main__':
    sys.exit(main())
