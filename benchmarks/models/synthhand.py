"""DF-Mamba beside ResNet-50 on generated hands: same framework, same iterations.

    python benchmarks/models/synthhand.py --out DIR [--iterations 300] [--data DATA]

Each backbone is trained in the same framework, on the same images, for the same
number of iterations and with three seeds, and tested on the evaluation images;
DF-Mamba with and without its deformable scan. Every run goes through
``tools/train.py`` and ``tools/test.py``. Without ``--data``, 2,000 training and 500
evaluation images are generated first. The results, with a predictor that learns
nothing, are written to ``DIR/synthhand.json`` and ``DIR/synthhand.md``. Called again
after it was stopped, it keeps the runs of ``DIR`` that ended.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import DATASETS, MODELS

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.complexity import count
from mmssm.evaluation.functional import hand

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks._measure import describe_machine  # noqa: E402
from benchmarks.lifting.mocap_folds import run  # noqa: E402

FOLDER = 'configs/hand_3d_keypoint/df_mamba/synthhand'
BACKBONES = {
    'DF-Mamba a': 'heatmap-depth_df-mamba-a_1xb8_synthhand-128x128',
    'DF-Mamba a, without deformable scan': 'heatmap-depth_df-mamba-a-plain-scan_'
    '1xb8_synthhand-128x128',
    'ResNet-50': 'heatmap-depth_res50_1xb8_synthhand-128x128',
}
SEEDS = (0, 1, 2)
METRICS = ('MPJPE', 'PA-MPJPE', 'AUC_0-50', 'AUC_20-50')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
NUM_IMAGES = (2000, 500)
MAX_TURN = 45
"""Degrees. Two thousand images of hands in every direction alike teach a network
from scratch next to nothing in minutes."""
SPEED_BATCHES = (1, 32)
SPEED_REPEATS = 11


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for all files')
    parser.add_argument(
        '--iterations', type=int, default=300, help='training steps of each run'
    )
    parser.add_argument(
        '--data', type=Path, help='folder of the images (default: made in DIR/data)'
    )
    parser.add_argument(
        '--speed', metavar='CONFIG', help='only count and time a network, print JSON'
    )
    args = parser.parse_args(argv)
    if args.iterations < 1:
        parser.error(f'--iterations must be at least 1, got {args.iterations}')
    return args


def config_path(backbone: str) -> str:
    """Config of a backbone, from the root of the repository."""
    return f'{FOLDER}/{BACKBONES[backbone]}.py'


def load_config(path: str, data: Path) -> Config:
    """Reads a config and points its datasets at the images."""
    config = Config.fromfile(REPOSITORY / path)
    for loader in LOADERS:
        config[loader].dataset.data_root = str(data)
    return config


def make_data(folder: Path) -> None:
    """Generates the images unless they are there."""
    if folder.exists():
        return
    training, evaluation = NUM_IMAGES
    print(f'generating {training} + {evaluation} images in {folder}', flush=True)
    run(
        [
            'tools/dataset_converters/synthhand.py',
            *('--out', str(folder)),
            *('--num', str(training)),
            *('--num-evaluation', str(evaluation)),
            *('--max-turn', str(MAX_TURN)),
        ],
        folder.with_suffix('.log'),
        1,
    )


def measure(
    backbone: str, seed: int, out: Path, data: Path, iterations: int, threads: int
) -> dict[str, object]:
    """Trains and tests one backbone with one seed, or reads what it gave before."""
    config = config_path(backbone)
    work_dir = out / f'{Path(config).stem}-seed{seed}'
    kept = work_dir / 'result.json'
    terms = dict(
        backbone=backbone,
        seed=seed,
        iterations=iterations,
        threads=threads,
        data=str(data),
    )
    if kept.exists():
        result = json.loads(kept.read_text())
        if terms.items() <= result.items():
            return result
    started = time.perf_counter()
    run(
        [
            *('tools/train.py', config, '--no-validate', '--work-dir', str(work_dir)),
            '--cfg-options',
            f'train_dataloader.dataset.data_root={data}',
            f'randomness.seed={seed}',
            f'train_cfg.max_iters={iterations}',
            f'default_hooks.checkpoint.interval={iterations}',
        ],
        work_dir / 'train.log',
        threads,
    )
    seconds = time.perf_counter() - started
    checkpoint = (work_dir / 'last_checkpoint').read_text().strip()
    metrics = work_dir / 'metrics.json'
    test = ['tools/test.py', config, checkpoint, '--work-dir', str(work_dir / 'test')]
    root = f'test_dataloader.dataset.data_root={data}'
    run(
        [*test, '--out', str(metrics), '--cfg-options', root],
        work_dir / 'test.log',
        threads,
    )
    this = [str(Path(__file__).resolve()), '--out', str(out), '--data', str(data)]
    speed = run([*this, '--speed', config], work_dir / 'speed.log', threads)
    result = dict(
        **terms,
        training_seconds=round(seconds, 1),
        network=json.loads(speed.splitlines()[-1]),
        metrics=json.loads(metrics.read_text()),
    )
    kept.write_text(json.dumps(result, indent=1) + '\n')
    print(
        f'{backbone}, seed {seed}: {iterations} iterations in {seconds:.0f} s, MPJPE '
        f'{result["metrics"]["MPJPE"]:.2f} mm',
        flush=True,
    )
    return result


def measure_network(config: Config) -> dict[str, object]:
    """Counts and times the network of a config, decoding left out.

    Returns:
        Parameters, multiply-accumulates of one crop, and images per second in
        batches of each size, one number for each timed pass.
    """
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(config.model).eval()
    width, height = config.codec.input_size
    rates: dict[str, list[float]] = {}
    with torch.inference_mode():
        for batch in SPEED_BATCHES:
            inputs = torch.rand(batch, 3, height, width)
            model.head(model.backbone(inputs))
            rates[str(batch)] = []
            for _ in range(SPEED_REPEATS):
                start = time.perf_counter()
                model.head(model.backbone(inputs))
                rates[str(batch)].append(batch / (time.perf_counter() - start))
    size = count(_Network(model), torch.rand(1, 3, height, width))
    return dict(params=size.params, macs=size.macs, images_per_second=rates)


class _Network(torch.nn.Module):
    """Backbone and head of an estimator."""

    def __init__(self, estimator: torch.nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = estimator.backbone, estimator.head

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Places, depths and heatmaps of images."""
        return self.head(self.backbone(inputs))


def mean_hand(config: Config) -> dict[str, float]:
    """Errors of the mean hand of the training images, relative to the wrist."""
    means = {}
    for phase in ('train', 'val'):
        settings = {**config[f'{phase}_dataloader'].dataset, 'pipeline': []}
        with DefaultScope.overwrite_default_scope('mmpose'):
            dataset = DATASETS.build(settings)
        joints = np.concatenate(
            [dataset[i]['keypoints_cam'] for i in range(len(dataset))]
        ).astype(np.float64)
        root = dataset.metainfo['root_index']
        means[phase] = joints - joints[:, root : root + 1]
    truth = 1000 * means['val']
    pred = np.broadcast_to(1000 * means['train'].mean(0), truth.shape)
    errors = hand.joint_errors(pred, truth)
    aligned = hand.joint_errors(hand.official_align(pred, truth), truth)
    return {
        'MPJPE': hand.mean_of_joints(errors),
        'PA-MPJPE': hand.mean_of_joints(aligned),
        'AUC_0-50': 100 * hand.pck_auc(errors, 0, 50),
        'AUC_20-50': 100 * hand.pck_auc(errors, 20, 50),
    }


def spread(values: list[float], digits: int) -> str:
    """Mean and, of more than one, standard deviation."""
    mean = f'{statistics.mean(values):.{digits}f}'
    if len(values) < 2:
        return mean
    return f'{mean} ± {statistics.stdev(values):.{digits}f}'


def network_cells(networks: list[dict]) -> list[str]:
    """Parameters, MACs of a crop and images per second, all timed passes together."""
    if not networks:
        return ['-'] * (2 + len(SPEED_BATCHES))
    cells = [f'{networks[0]["params"]:,}', f'{networks[0]["macs"] / 1e9:.2f} G']
    for batch in SPEED_BATCHES:
        rates = [
            rate
            for network in networks
            for rate in network['images_per_second'][str(batch)]
        ]
        low, middle, high = statistics.quantiles(rates, n=4)
        cells.append(f'{middle:.1f} ({low:.1f} to {high:.1f})')
    return cells


def table(results: list[dict], context: dict[str, str]) -> str:
    """A Markdown table: mean and spread over the seeds."""
    speeds = [f'images/s, batch {batch}' for batch in SPEED_BATCHES]
    header = ['backbone', 'parameters', 'MACs', *speeds, *METRICS]
    header.append('seconds')
    lines = [
        '# Backbones on generated hands',
        '',
        'Mean and standard deviation over the seeds; millimetres, percent for the '
        'AUC. Images a second: median and quartiles.',
        '',
        f'| {" | ".join(header)} |',
        '|' + '---|' * len(header),
    ]
    by_backbone: dict[str, list[dict]] = {}
    for result in sorted(results, key=lambda result: result.get('seed', 0)):
        by_backbone.setdefault(result['backbone'], []).append(result)
    for backbone, runs in by_backbone.items():
        cells = network_cells([r['network'] for r in runs if 'network' in r])
        for name in METRICS:
            digits = 1 if 'AUC' in name else 2
            cells.append(spread([r['metrics'][name] for r in runs], digits))
        spent = [f'{r["training_seconds"]:.0f}' for r in runs if 'network' in r]
        cells.append(' / '.join(spent) or '-')
        lines.append(f'| {backbone} | {" | ".join(cells)} |')
    lines += ['', *(f'- {name}: {value}' for name, value in context.items()), '']
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    # the times of plain PyTorch in the kernels' place would say nothing
    os.environ.setdefault('MMSSM_REQUIRE_NATIVE', '1')
    out = args.out.resolve()
    data = (args.data or out / 'data').resolve()
    if args.speed:
        print(json.dumps(measure_network(load_config(args.speed, data))))
        return
    make_data(data)
    threads = os.cpu_count() or 1
    results = [
        # seeds outermost, so that what changes on the machine meets all alike
        measure(backbone, seed, out, data, args.iterations, threads)
        for seed in SEEDS
        for backbone in BACKBONES
    ]
    some = load_config(config_path('DF-Mamba a'), data)
    results.append(dict(backbone='mean hand of the training', metrics=mean_hand(some)))
    context = {
        **describe_machine('mmpose'),
        'training': f'{args.iterations} iterations a run, {threads} threads, seeds '
        f'{", ".join(map(str, SEEDS))}',
        'data': (data / 'synthhand.json').read_text().replace('\n', '')
        if (data / 'synthhand.json').exists()
        else data.name,
        'command': 'python benchmarks/models/synthhand.py --iterations '
        f'{args.iterations} --out DIR',
    }
    text = table(results, context)
    (out / 'synthhand.json').write_text(
        json.dumps(dict(context=context, results=results), indent=1) + '\n'
    )
    (out / 'synthhand.md').write_text(text)
    print('\n' + text)


if __name__ == '__main__':
    main()
