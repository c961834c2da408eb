"""Trains PoseMamba on the embedded motion data, tests it and shows what it does.

    python demo/lift_mocap.py --out DIR

Needs no download and no GPU. Training takes six to seven minutes on two cores, or
fewer iterations on a slower machine. The environment variable
``MMSSM_DEMO_STEPS`` sets the number of training iterations instead. Every run
trains anew; files of an earlier run in DIR are replaced.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

from mmengine.config import Config
from PIL import Image

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.engine.time_budget import iterations_within
from mmssm.evaluation.trivial_lifters import evaluate_trivial_lifters
from mmssm.visualization import load_scalars, plot_curves

# where an import of this file by its path does not look
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import _scripts
from demo._scripts import REPOSITORY

CONFIG = (
    'configs/body_3d_keypoint/posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py'
)
TRAINING_SECONDS = 450
SHOW_EVERY = 4
"""Of the validation videos, four cameras to a clip, those of the first."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for all files')
    return parser.parse_args(argv)


def train(out: Path, steps: int) -> Path:
    """Trains, and returns the checkpoint."""
    work_dir = out / 'train'
    _scripts.run_tool(
        'tools/train.py',
        CONFIG,
        '--work-dir',
        str(work_dir),
        '--cfg-options',
        f'train_cfg.max_iters={steps}',
        f'train_cfg.val_interval={max(1, steps // 8)}',
        f'default_hooks.logger.interval={min(50, max(1, steps // 8))}',
        f'default_hooks.checkpoint.interval={steps}',
    )
    return Path((work_dir / 'last_checkpoint').read_text().strip())


def test(out: Path, checkpoint: Path) -> list[str]:
    """Tests with pictures, and returns the command that gives the numbers again."""
    command = [
        'tools/test.py',
        CONFIG,
        str(checkpoint),
        '--work-dir',
        str(out / 'test'),
    ]
    _scripts.run_tool(
        *command,
        '--out',
        str(out / 'metrics.json'),
        '--show-dir',
        str(out / 'pictures'),
        '--interval',
        str(SHOW_EVERY),
    )
    return [_scripts.interpreter(), *command]


def summarise(
    metrics: dict[str, float], trivial: dict[str, dict[str, float]]
) -> list[str]:
    """The errors of the model beside those of the trivial predictors, a row each."""
    rows = [('', 'mean pose', 'flat', 'PoseMamba', 'PoseMamba / flat')]
    names = [name for name in metrics if name in ('MPJPE', 'P-MPJPE')]
    names += [name for name in metrics if name.startswith('MPJPE_')]
    for name in names:
        mean, flat = trivial['mean_pose'][name], trivial['flat'][name]
        ratio = metrics[name] / flat
        rows.append(
            (
                name,
                f'{mean:.1f}',
                f'{flat:.1f}',
                f'{metrics[name]:.1f}',
                f'{ratio:.2f}',
            )
        )
    return _scripts.aligned(rows)


def main(argv: list[str] | None = None) -> None:
    """Runs the demo."""
    started = time.perf_counter()
    out = parse_args(argv).out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    config = Config.fromfile(REPOSITORY / CONFIG)
    steps, full = _scripts.steps_from_environment(), config.train_cfg.max_iters
    if steps is None:
        steps = min(full, iterations_within(config, TRAINING_SECONDS))

    checkpoint = train(out, steps)
    trained = time.perf_counter()
    command = test(out, checkpoint)
    metrics = json.loads((out / 'metrics.json').read_text())
    # The mean pose needs no more than a few of the many cameras per window.
    config.train_dataloader.dataset.views = 4
    trivial = evaluate_trivial_lifters(config)
    scalars = _scripts.newest(out / 'train', '*/vis_data/scalars.json')
    curves = plot_curves(
        {'PoseMamba': load_scalars(scalars)},
        levels={
            'mean pose': trivial['mean_pose']['MPJPE'],
            'flat': trivial['flat']['MPJPE'],
        },
    )
    Image.fromarray(curves).save(out / 'curves.png')

    lines = [
        'Validation error in millimetres (clips that training never saw):',
        '',
        *summarise(metrics, trivial),
        '',
        "mean pose: the training set's mean pose for every frame",
        'flat: the 2D input at true depth and scale of the root, all joints in a plane',
        '',
        _scripts.verdict(steps, full),
        '',
        f'checkpoint  {checkpoint}',
        f'log         {_scripts.newest(out / "train", "*/*.log")}',
        f'metrics     {out / "metrics.json"}',
        f'pictures    {out / "pictures"} (a PNG and a GIF per video)',
        f'curves      {out / "curves.png"}',
        '',
        f'The same numbers again, from {REPOSITORY}:',
        f'  {shlex.join(command)}',
        '',
        f'Time: {trained - started:.0f} s to train, '
        f'{time.perf_counter() - started:.0f} s in all.',
    ]
    (out / 'summary.txt').write_text('\n'.join(lines) + '\n')
    print('\n' + '\n'.join(lines))


if __name__ == '__main__':
    main()
