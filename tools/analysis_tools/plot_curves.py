"""Draws the training loss and the validation errors of one run or several.

    python tools/analysis_tools/plot_curves.py work_dirs/RUN --out curves.png
    python tools/analysis_tools/plot_curves.py RUN_A RUN_B --out both.png

A run is a working directory, of which the newest log is taken, or a
``scalars.json`` itself.
"""

import argparse
import sys
from pathlib import Path

from PIL import Image

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.visualization import load_scalars, plot_curves


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+', type=Path, help='runs to draw')
    parser.add_argument('--out', type=Path, required=True, help='picture to write')
    parser.add_argument(
        '--metrics',
        nargs='+',
        default=['MPJPE', 'P-MPJPE'],
        help='validation metrics in millimetres (default: %(default)s)',
    )
    return parser.parse_args(argv)


def scalars_of(run: Path) -> Path:
    """The newest ``scalars.json`` of a run."""
    if run.is_file():
        return run
    found = sorted(
        run.glob('**/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime
    )
    if not found:
        sys.exit(
            f'error: {run} has no vis_data/scalars.json; give the working directory '
            'of a training, or such a file'
        )
    return found[-1]


def main(argv: list[str] | None = None) -> None:
    """Draws."""
    args = parse_args(argv)
    runs = {str(run): load_scalars(scalars_of(run)) for run in args.runs}
    picture = plot_curves(runs, tuple(args.metrics))
    Image.fromarray(picture).save(args.out)
    print(args.out)


if __name__ == '__main__':
    main()
