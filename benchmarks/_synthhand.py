"""Benchmarks on generated hands: networks, seeds, the same iterations for each."""

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401  cures the host before it is used
from benchmarks import _runs
from benchmarks._measure import describe_machine
from mmssm.apis.complexity import count
from mmssm.evaluation.trivial_hands import evaluate_mean_hand

SEEDS = (0, 1, 2)
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
NUM_IMAGES = (2000, 500)
MAX_TURN = 45
"""Degrees. Two thousand images of hands in every direction alike teach a network
from scratch next to nothing in minutes."""
SPEED_BATCHES = (1, 32)
SPEED_REPEATS = 11


@dataclass(frozen=True)
class HandBenchmark:
    """Networks beside each other on generated hands.

    Attributes:
        script: The script that runs it, from the root of the repository. Results
            get its name.
        title: Heading of the table.
        explanation: What stands below it.
        what: What the networks differ in, one word.
        folder: Folder of the configs, from the root of the repository.
        configs: Name of each network, and its config in that folder.
        metrics: Columns of the table: names of metrics and their decimals.
        iterations: Training steps of each run, unless asked for others.
    """

    script: str
    title: str
    explanation: str
    what: str
    folder: str
    configs: dict[str, str]
    metrics: dict[str, int]
    iterations: int

    def config_path(self, name: str) -> str:
        """Config of a network, from the root of the repository."""
        return f'{self.folder}/{self.configs[name]}.py'

    def main(self, description: str, argv: list[str] | None = None) -> None:
        """Runs the benchmark, or what it starts as processes of their own."""
        args = parse_args(description, self.iterations, argv)
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
            self.measure(name, seed, out, data, args.iterations, threads)
            for seed in SEEDS
            for name in self.configs
        ]
        some = load_config(self.config_path(next(iter(self.configs))), data)
        mean_hand = {self.what: 'mean hand of the training'}
        results.append({**mean_hand, 'metrics': evaluate_mean_hand(some)})
        context = {
            **describe_machine('mmpose'),
            'training': f'{args.iterations} iterations a run, {threads} threads, seeds '
            f'{", ".join(map(str, SEEDS))}',
            'data': (data / 'synthhand.json').read_text().replace('\n', '')
            if (data / 'synthhand.json').exists()
            else data.name,
            'command': f'python {self.script} --iterations {args.iterations} --out DIR',
        }
        text = self.table(results, context)
        _runs.save(out, Path(self.script).stem, context, results, text)

    def measure(
        self, name: str, seed: int, out: Path, data: Path, iterations: int, threads: int
    ) -> dict[str, object]:
        """Trains and tests one network with one seed, or reads what it gave before."""
        config = self.config_path(name)
        work_dir = out / f'{Path(config).stem}-seed{seed}'
        this = [self.script, '--out', str(out), '--data', str(data)]

        def network() -> dict[str, object]:
            command = [*this, '--speed', config]
            answer = _runs.run(command, work_dir / 'speed.log', threads)
            return json.loads(answer.splitlines()[-1])

        return _runs.train_and_test(
            config,
            work_dir,
            {
                self.what: name,
                'seed': seed,
                'iterations': iterations,
                'threads': threads,
                'data': str(data),
            },
            steps=lambda: iterations,
            network=network,
            train_options=[
                f'train_dataloader.dataset.data_root={data}',
                f'randomness.seed={seed}',
            ],
            test_options=[f'test_dataloader.dataset.data_root={data}'],
        )

    def table(self, results: list[dict], context: dict[str, str]) -> str:
        """A Markdown table: mean and spread over the seeds."""
        speeds = [f'images/s, batch {batch}' for batch in SPEED_BATCHES]
        header = [self.what, 'parameters', 'MACs', *speeds, *self.metrics]
        rows = []
        for name, runs in _runs.group(results, self.what, 'seed').items():
            cells = network_cells([r['network'] for r in runs if 'network' in r])
            for metric, digits in self.metrics.items():
                values = [r['metrics'][metric] for r in runs]
                cells.append(_runs.spread(values, digits))
            rows.append([name, *cells, _runs.each(runs, 'training_seconds')])
        return _runs.page(
            self.title,
            self.explanation,
            [*header, 'seconds'],
            rows,
            context,
        )


def parse_args(
    description: str, default: int, argv: list[str] | None = None
) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for all files')
    parser.add_argument(
        '--iterations', type=int, default=default, help='training steps of each run'
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


def load_config(path: str, data: Path) -> Config:
    """Reads a config and points its datasets at the images."""
    config = Config.fromfile(_runs.REPOSITORY / path)
    for loader in LOADERS:
        config[loader].dataset.data_root = str(data)
    return config


def make_data(folder: Path) -> None:
    """Generates the images unless they are there."""
    if folder.exists():
        return
    training, evaluation = NUM_IMAGES
    print(f'generating {training} + {evaluation} images in {folder}', flush=True)
    _runs.run(
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


def measure_network(config: Config) -> dict[str, object]:
    """Counts and times the network of a config, decoding left out.

    Returns:
        Parameters, multiply-accumulates of one crop, and images per second in
        batches of each size, one number for each timed pass.
    """
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(config.model).eval()
    network = _Network(model)
    width, height = config.codec.input_size
    rates: dict[str, list[float]] = {}
    with torch.inference_mode():
        for batch in SPEED_BATCHES:
            inputs = torch.rand(batch, 3, height, width)
            network(inputs)
            rates[str(batch)] = []
            for _ in range(SPEED_REPEATS):
                start = time.perf_counter()
                network(inputs)
                rates[str(batch)].append(batch / (time.perf_counter() - start))
    size = count(network, torch.rand(1, 3, height, width))
    return dict(params=size.params, macs=size.macs, images_per_second=rates)


class _Network(torch.nn.Module):
    """Backbone and head of an estimator."""

    def __init__(self, estimator: torch.nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = estimator.backbone, estimator.head

    def forward(self, inputs: torch.Tensor) -> object:
        """What the head makes of images."""
        return self.head(self.backbone(inputs))


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
