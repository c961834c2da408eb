"""Trains Hamba's small head on generated hands, tests it and shows what it does.

    python demo/train_hand_mesh.py --out DIR

Needs no download, no MANO and no GPU. On two cores it takes two to three minutes to
generate the images, seven to train (or fewer iterations on a slower machine) and one to
test and to draw. The environment variable ``MMSSM_DEMO_STEPS`` sets the number of
training iterations instead, and with it few images are made. Every run trains
anew; files of an earlier run in DIR are replaced, its images are kept.
"""

import argparse
import json
import platform
import re
import shlex
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from mmengine.config import Config

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.engine.time_budget import iterations_within
from mmssm.evaluation.trivial_hands import evaluate_mean_hand

# where an import of this file by its path does not look
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo import _scripts
from demo._scripts import REPOSITORY

CONFIG = (
    'configs/hand_mesh/hamba/synthhand/hamba-small_res18_1xb16_synthhand-128x128.py'
)
NAME = 'hamba-small-synthhand'
TRAINING_SECONDS = 420
IMAGES = {False: (2000, 500), True: (64, 16)}
"""For training and evaluation; True: where ``MMSSM_DEMO_STEPS`` is set."""
MAX_TURN = 45
SHOWN = 12
"""Evaluation images that are drawn beside their truth."""
DRAWN = 3
"""Evaluation images that hand_mesh_demo.py is shown."""
METRICS = ('PA-MPJPE', 'PA-MPVPE', 'F@5', 'F@15')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for all files')
    return parser.parse_args(argv)


def make_images(out: Path, few: bool) -> Path:
    """Generates the images unless they are there; returns their folder."""
    training, evaluation = IMAGES[few]
    folder = out / f'images-{training}'
    if not folder.exists():
        _scripts.run_tool(
            'tools/dataset_converters/synthhand.py',
            *('--out', str(folder)),
            *('--num', str(training)),
            *('--num-evaluation', str(evaluation)),
            *('--max-turn', str(MAX_TURN)),
        )
    return folder


def data_options(images: Path) -> list[str]:
    """``--cfg-options`` that point the config at the images."""
    return [f'{loader}.dataset.data_root={images}' for loader in LOADERS]


def train(out: Path, images: Path, steps: int) -> Path:
    """Trains, and returns the checkpoint."""
    work_dir = out / 'train'
    _scripts.run_tool(
        'tools/train.py',
        CONFIG,
        '--work-dir',
        str(work_dir),
        '--cfg-options',
        *data_options(images),
        f'train_cfg.max_iters={steps}',
        f'train_cfg.val_interval={max(1, steps // 4)}',
        f'default_hooks.logger.interval={min(50, max(1, steps // 8))}',
        f'default_hooks.checkpoint.interval={steps}',
    )
    return Path((work_dir / 'last_checkpoint').read_text().strip())


def test(out: Path, images: Path, checkpoint: Path) -> list[str]:
    """Tests, draws some of it, and returns the command that gives the numbers again."""
    command = ['tools/test.py', CONFIG, str(checkpoint)]
    command += ['--work-dir', str(out / 'test')]
    options = ['--cfg-options', *data_options(images)]
    _scripts.run_tool(*command, '--out', str(out / 'metrics.json'), *options)
    pictures = ['--show-dir', str(out / 'pictures')]
    _scripts.run_tool(
        *command, *pictures, *options, f'test_dataloader.dataset.indices={SHOWN}'
    )
    return [_scripts.interpreter(), *command, *options]


def draw(out: Path, images: Path, weights: Path) -> None:
    """Shows some evaluation images to hand_mesh_demo.py, one box each."""
    numbers = range(DRAWN)
    joints = read_columns(images, 'evaluation', 'xyz')[: len(numbers)]
    cameras = read_columns(images, 'evaluation', 'K')[: len(numbers)]
    for number in numbers:
        points = joints[number] @ cameras[number].T
        pixels = points[:, :2] / points[:, 2:]
        box = np.concatenate([pixels.min(0), pixels.max(0)])
        _scripts.run_tool(
            'demo/hand_mesh_demo.py',
            str(images / 'evaluation' / 'rgb' / f'{number:08d}.jpg'),
            *('--config', CONFIG),
            *('--checkpoint', str(weights)),
            *('--out', str(out / 'meshes')),
            *('--bbox', *(f'{edge:.1f}' for edge in box)),
        )


def record(out: Path, weights: Path) -> None:
    """Writes beside the weights how they were made, and the log of it."""
    log = _scripts.newest(out / 'train', '*/*.log').read_text()
    packages = ('torch', 'mmengine', 'mmpose')
    versions = ', '.join(f'{name} {metadata.version(name)}' for name in packages)
    lines = [
        f'# Weights: {weights.name}',
        '',
        '$ python demo/train_hand_mesh.py --out DIR',
        '',
        f'Python {platform.python_version()}, {versions}, seed 0.',
        'Training and validation lines of the log:',
        '',
        # their beginning is the time, the logger's name and the level
        *re.findall(r'Iter\((?:train|val)\) .*(?:loss|PA-MPJPE): .*', log),
    ]
    weights.with_suffix('.txt').write_text('\n'.join(lines) + '\n')


def read_columns(images: Path, split: str, name: str) -> np.ndarray:
    """One annotation file of the images."""
    return np.array(json.loads((images / f'{split}_{name}.json').read_text()))


def summarise(metrics: dict[str, float], trivial: dict[str, float]) -> list[str]:
    """The numbers of the network beside those of the mean hand, a row each."""
    rows = [('', 'mean hand', 'Hamba, small')]
    for name in METRICS:
        digits = 3 if name.startswith('F@') else 1
        values = trivial[name], metrics[name]
        rows.append((name, *(f'{value:.{digits}f}' for value in values)))
    return _scripts.aligned(rows)


def main(argv: list[str] | None = None) -> None:
    """Runs the demo."""
    started = time.perf_counter()
    out = parse_args(argv).out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    steps = _scripts.steps_from_environment()
    few = steps is not None
    images = make_images(out, few)
    config = Config.fromfile(REPOSITORY / CONFIG)
    for loader in LOADERS:
        config[loader].dataset.data_root = str(images)
    full = config.train_cfg.max_iters
    if steps is None:
        steps = min(full, iterations_within(config, TRAINING_SECONDS))

    drawn = time.perf_counter()
    checkpoint = train(out, images, steps)
    trained = time.perf_counter()
    command = test(out, images, checkpoint)
    weights = out / f'{NAME}.safetensors'
    _scripts.run_tool(
        'tools/model_converters/publish.py', CONFIG, str(checkpoint), str(weights)
    )
    record(out, weights)
    draw(out, images, weights)
    metrics = json.loads((out / 'metrics.json').read_text())
    lines = [
        'Evaluation images: millimetres after the official alignment, F-scores 0 to 1:',
        '',
        *summarise(metrics, evaluate_mean_hand(config)),
        '',
        "mean hand: the training set's, for every image",
        '',
        _scripts.verdict(steps, full),
        '',
        f'checkpoint  {checkpoint}',
        f'weights     {weights} (such ship in mmssm/weights, with the .txt beside it)',
        f'log         {_scripts.newest(out / "train", "*/*.log")}',
        f'metrics     {out / "metrics.json"}',
        f'pictures    {out / "pictures"}, {out / "meshes"} (with .obj and .json)',
        '',
        f'The same numbers again, from {REPOSITORY}:',
        f'  {shlex.join(command)}',
        '',
        f'Time: {drawn - started:.0f} s for the images, {trained - drawn:.0f} s to '
        f'train, {time.perf_counter() - started:.0f} s in all.',
    ]
    (out / 'summary.txt').write_text('\n'.join(lines) + '\n')
    print('\n' + '\n'.join(lines))


if __name__ == '__main__':
    main()
