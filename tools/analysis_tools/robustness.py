"""Measures how a lifter's error grows when its 2D input gets worse.

    python tools/analysis_tools/robustness.py CONFIG CHECKPOINT --out DIR
    python tools/analysis_tools/robustness.py posemamba-mocap-27frm --out DIR

The validation data of the config is evaluated with noise added to the 2D joints, with
joints lost and with frames lost (interpolated, as one does with a video), each more and
more. ``DIR/robustness.json`` has all metrics of all levels, ``robustness.md`` a table,
``robustness.png`` the curves. Level 0 is what ``tools/test.py`` prints.
"""

import argparse
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mmengine.registry import DefaultScope
from mmpose.registry import MODELS
from PIL import Image

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.catalog import resolve_config, resolve_model
from mmssm.apis.robustness import SWEEPS, SweepResult, sweep
from mmssm.engine import preflight
from mmssm.engine.cli import OptionsAction, merge_options, messages_for_users
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import write_atomically
from mmssm.visualization.robustness import plot_sweeps

SHOWN = ('MPJPE', 'P-MPJPE')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, or name of a model')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file (default: what a model called by name ships with)',
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for results')
    parser.add_argument(
        '--sweeps',
        nargs='+',
        choices=list(SWEEPS),
        default=list(SWEEPS),
        help='what to vary (default: all)',
    )
    parser.add_argument(
        '--levels',
        type=float,
        nargs='+',
        help='values of the one sweep asked for, in the place of its own',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='changes of the config, such as val_dataloader.dataset.fold=1',
    )
    args = parser.parse_args(argv)
    if args.levels is not None and len(args.sweeps) != 1:
        parser.error('--levels are of one sweep: name it with --sweeps')
    return args


def table(results: Mapping[str, SweepResult], metrics: list[str]) -> str:
    """A Markdown table of the errors in millimetres."""
    lines = [
        f'| what is varied | level | {" | ".join(f"{m}, mm" for m in metrics)} |',
        f'| --- | ---: | {" | ".join("---:" for _ in metrics)} |',
    ]
    for result in results.values():
        for i, level in enumerate(result.levels):
            errors = ' | '.join(f'{result.metrics[m][i]:.1f}' for m in metrics)
            lines.append(f'| {result.title} | {level:g} | {errors} |')
    return '\n'.join(lines) + '\n'


def run(args: argparse.Namespace) -> None:
    """Measures and writes."""
    if args.checkpoint is None:
        named = resolve_model(args.config)
        args.config, args.checkpoint = str(named.config), str(named.weights)
    config = preflight.read_config(str(resolve_config(args.config)))
    merge_options(config, args)
    preflight.check_data_files(config, ['val'])
    model = MODELS.build(config.model)
    checkpoint = preflight.read_checkpoint(args.checkpoint)
    preflight.check_weights(model, checkpoint, args.checkpoint)

    results = {}
    for name in args.sweeps:

        def tell(level: float, metrics: Mapping[str, float], name: str = name) -> None:
            errors = ', '.join(f'{k} {metrics[k]:.1f}' for k in SHOWN if k in metrics)
            print(f'{SWEEPS[name].title} {level:g}: {errors}', flush=True)

        try:
            results[name] = sweep(config, model, name, args.levels, tell)
        except ValueError as error:
            raise UserError(str(error)) from error

    metrics = [m for m in SHOWN if m in next(iter(results.values())).metrics]
    text = table(results, metrics)
    curves = plot_sweeps(
        {
            result.title: {m: (result.levels, result.metrics[m]) for m in metrics}
            for result in results.values()
        },
        title=Path(args.config).stem,
    )
    png = io.BytesIO()
    Image.fromarray(curves).save(png, 'PNG', optimize=True)
    numbers = dict(
        config=args.config,
        checkpoint=args.checkpoint,
        sweeps={name: asdict(result) for name, result in results.items()},
    )
    write_atomically(
        args.out / 'robustness.json', (json.dumps(numbers, indent=1) + '\n').encode()
    )
    write_atomically(args.out / 'robustness.md', text.encode())
    write_atomically(args.out / 'robustness.png', png.getvalue())
    print('\n' + text + '\n' + str(args.out / 'robustness.png'))


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    with messages_for_users(), DefaultScope.overwrite_default_scope('mmpose'):
        run(parse_args(argv))


if __name__ == '__main__':
    main()
