"""State-space lifters beside MMPose's own: same data, same folds, same time.

    python benchmarks/lifting/mocap_folds.py --out DIR [--minutes 4] [--jobs 1]

Each lifter is trained for the same wall time on each of the three folds of the
embedded motion data, its learning-rate schedule fitted to the iterations that a
few timed ones promise, and tested on the clips left out. Every run goes through
``tools/train.py`` and ``tools/test.py``; ``speed.py`` beside this file counts and
times the networks. The results, with the two trivial
predictors, are written to ``DIR/mocap_folds.json`` and ``DIR/mocap_folds.md``.
With ``--jobs 2`` two runs go side by side, each with half the cores. Called again
after it was stopped, it keeps the runs of ``DIR`` that ended.
"""

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmengine.config import Config

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.engine.time_budget import iterations_within
from mmssm.evaluation.trivial_lifters import evaluate_trivial_lifters

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks import _runs  # noqa: E402
from benchmarks._measure import describe_machine  # noqa: E402

FOLDER = 'configs/body_3d_keypoint'
LIFTERS = {
    'SasMamba': 'sasmamba/mocap/sasmamba_xs-27frm_1xb4_mocap',
    'PoseMamba': 'posemamba/mocap/posemamba_xs-27frm_1xb4_mocap',
    'DSTFormer (MotionBERT)': 'posemamba/mocap/'
    'motionbert_dstformer-xs-27frm_1xb4_mocap',
    'TCN (VideoPose3D)': 'posemamba/mocap/video-pose-lift_tcn-27frm_1xb32_mocap',
    'SimpleBaseline3D': 'posemamba/mocap/image-pose-lift_tcn_1xb32_mocap',
}
SPEED_BATCH = 32
FOLDS = (0, 1, 2)
ERRORS = ('MPJPE', 'P-MPJPE')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for all files')
    parser.add_argument(
        '--minutes', type=float, default=4.0, help='training time of each run'
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs side by side')
    parser.add_argument(
        '--probe',
        metavar='CONFIG',
        help='only print how many iterations of a config fit into the time',
    )
    return parser.parse_args(argv)


def config_path(lifter: str, fold: int) -> str:
    """Config of a lifter on a fold, from the root of the repository."""
    return f'{FOLDER}/{LIFTERS[lifter]}-fold{fold}.py'


def measure(
    lifter: str, fold: int, out: Path, minutes: float, threads: int
) -> dict[str, object]:
    """Trains and tests one lifter on one fold, or reads what it gave before."""
    config = config_path(lifter, fold)
    work_dir = out / Path(config).stem
    terms = dict(lifter=lifter, fold=fold, minutes=minutes, threads=threads)
    probe = [str(Path(__file__).resolve()), '--out', str(out)]
    probe += ['--minutes', str(minutes), '--probe', config]

    def steps() -> int:
        """As many as fit into the time."""
        return int(_runs.run(probe, work_dir / 'probe.log', threads).split()[-1])

    return _runs.train_and_test(
        config,
        work_dir,
        terms,
        steps,
        network=lambda: measure_network(config, work_dir, threads),
    )


def measure_network(config: str, work_dir: Path, threads: int) -> dict[str, float]:
    """Counts and times the network of a config."""
    answer = _runs.run(
        [
            'benchmarks/lifting/speed.py',
            *('--config', config),
            *('--batch', str(SPEED_BATCH)),
            *('--threads', str(threads)),
        ],
        work_dir / 'speed.log',
        threads,
    )
    return json.loads(answer.splitlines()[-1])


def trivial_results() -> list[dict[str, object]]:
    """The two predictors that learn nothing, on each fold."""
    results = []
    for fold in FOLDS:
        config = Config.fromfile(REPOSITORY / config_path('PoseMamba', fold))
        # The mean pose needs no more than a few of the many cameras per window.
        config.train_dataloader.dataset.views = 4
        for name, metrics in evaluate_trivial_lifters(config).items():
            results.append(
                dict(lifter=name.replace('_', ' '), fold=fold, metrics=metrics)
            )
    return results


def network_cells(networks: list[dict]) -> list[str]:
    """Parameters, MACs of a clip and the median of clips per second."""
    if not networks:
        return ['-', '-', '-']
    speed = np.median([network['clips_per_second'] for network in networks])
    return [
        f'{networks[0]["params"]:,}',
        f'{networks[0]["macs"] / 1e6:.1f} M',
        f'{speed:.0f}',
    ]


def table(results: list[dict], context: dict[str, str]) -> str:
    """A Markdown table: mean and spread over the folds, and each fold."""
    header = ['lifter', 'parameters', 'MACs', 'clips/s', *ERRORS]
    header += [*(f'fold {fold}' for fold in FOLDS), 'MPJPE / flat']
    by_lifter = _runs.group(results, 'lifter', 'fold')
    flat = np.mean([result['metrics']['MPJPE'] for result in by_lifter['flat']])
    rows = []
    for lifter, folds in by_lifter.items():
        cells = network_cells([r['network'] for r in folds if 'network' in r])
        for name in ERRORS:
            cells.append(_runs.spread([r['metrics'][name] for r in folds], 1))
        errors = [result['metrics']['MPJPE'] for result in folds]
        cells += [f'{error:.1f}' for error in errors]
        cells.append(f'{np.mean(errors) / flat:.2f}')
        cells += [_runs.each(folds, n) for n in ('iterations', 'training_seconds')]
        rows.append([lifter, *cells])
    return _runs.page(
        'Lifters on the embedded motion data',
        'Validation error in millimetres, mean and standard deviation over three '
        'folds of left-out clips, then MPJPE of each fold.',
        [*header, 'iterations', 'seconds'],
        rows,
        context,
    )


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    if args.probe:
        config = Config.fromfile(REPOSITORY / args.probe)
        print(iterations_within(config, 60 * args.minutes))
        return
    if args.jobs < 1:
        sys.exit(f'error: --jobs must be at least 1, got {args.jobs}')
    out = args.out.resolve()
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    with ThreadPoolExecutor(args.jobs) as pool:
        runs = [
            pool.submit(measure, lifter, fold, out, args.minutes, threads)
            for lifter in LIFTERS
            for fold in FOLDS
        ]
        results = [future.result() for future in runs]
    context = {
        **describe_machine('mmpose'),
        'training': f'{args.minutes:g} minutes a run, {args.jobs} at a time, '
        f'{threads} threads each',
        'clips/s': f'forward passes in batches of {SPEED_BATCH}, of 27 frames (one '
        'for SimpleBaseline3D); the TCN and SimpleBaseline3D predict one frame of each',
        'command': f'python benchmarks/lifting/mocap_folds.py --minutes '
        f'{args.minutes:g} --jobs {args.jobs} --out DIR',
    }
    results += trivial_results()
    _runs.save(out, 'mocap_folds', context, results, table(results, context))


if __name__ == '__main__':
    main()
