"""Tests a checkpoint and prints its metrics.

Works for the configs of this project, by their file or by a name of `mmssm list`, and
for MMPose's own.

    mmssm test CONFIG CHECKPOINT
    mmssm test posemamba-mocap-27frm                   # its own weights
    mmssm test CONFIG CHECKPOINT --out metrics.json
    mmssm test CONFIG CHECKPOINT --show-dir pictures
    mmssm test CONFIG CHECKPOINT --format-only         # a file for a server
    tools/dist_test.sh CONFIG CHECKPOINT 2             # two processes

In a checkout, `python tools/test.py CONFIG CHECKPOINT` is the same.

Beyond what MMPose's tool of the same name does: a checkpoint that does not fit
the model key by key is an error. Loading a checkpoint runs nothing it holds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.catalog import resolve_config, resolve_model
from mmssm.engine import preflight
from mmssm.engine.cli import (
    add_common_arguments,
    merge_options,
    messages_for_users,
    set_visualization,
    set_work_dir,
)
from mmssm.utils.errors import UsageError, UserError
from mmssm.utils.whole_files import write_atomically


class SaveMetricsHook(Hook):
    """Writes the metrics of a test to a file, which is whole or not there."""

    priority = 'LOWEST'

    def __init__(self, path: str) -> None:
        self.path = path

    def after_test_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Writes them."""
        if metrics is None:
            return
        text = mmengine.dump(metrics, file_format=Path(self.path).suffix[1:])
        data = text if isinstance(text, bytes) else text.encode()
        write_atomically(self.path, data)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument('config', help='config file, or name of a model')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file (.pth, .safetensors) or URL (default: the weights that '
        'a model called by name has)',
    )
    parser.add_argument(
        '--work-dir',
        help='folder for the log (default: work_dir of the config, else '
        './work_dirs/<name of the config>)',
    )
    parser.add_argument('--out', help='file for the metrics: .json, .yaml or .pkl')
    parser.add_argument('--dump', help='pickle file for all predictions: .pkl')
    parser.add_argument(
        '--format-only',
        action='store_true',
        help='measure nothing, write the result file that an evaluation server takes, '
        '<work dir>/pred (or outfile_prefix of the test_evaluator); for configs whose '
        'metric knows the server: submission of mmssm.HandMeshMetric, result_format '
        'of mmssm.HandPoseMetric, or a metric of MMPose with format_only',
    )
    parser.add_argument(
        '--badcase',
        action='store_true',
        help='collect the samples with the worst loss or accuracy, by the badcase '
        'hook of the config',
    )
    add_common_arguments(parser)


def _check_suffix(flag: str, path: str | None, suffixes: Sequence[str]) -> None:
    if path is not None and Path(path).suffix not in suffixes:
        raise UsageError(f'{flag} {path}: the name must end in {", ".join(suffixes)}')


def choose_weights(args: argparse.Namespace) -> None:
    """Puts files in the place of a model's name and of weights not named.

    Raises:
        UserError: There is no such model or config, or it has no weights here.
    """
    if args.checkpoint is None:
        model = resolve_model(args.config)
        args.config, args.checkpoint = str(model.config), str(model.weights)
    else:
        args.config = str(resolve_config(args.config))


def merge_args(config: Config, args: argparse.Namespace) -> Config:
    """Merges the command line into the config; ``--cfg-options`` come last."""
    set_work_dir(config, args)
    config.load_from = args.checkpoint
    if (args.show and not args.badcase) or args.show_dir is not None:
        set_visualization(config, args, show=args.show and not args.badcase)
    if args.badcase:
        collect_bad_cases(config, args)
    evaluator = config.test_evaluator
    evaluators = list(evaluator if isinstance(evaluator, list | tuple) else [evaluator])
    if args.format_only:
        for metric in evaluators:
            metric['format_only'] = True
            metric.setdefault('outfile_prefix', str(Path(config.work_dir) / 'pred'))
    if args.dump is not None:
        evaluators.append({'type': 'DumpResults', 'out_file_path': args.dump})
        config.test_evaluator = evaluators
    merge_options(config, args)
    return config


def collect_bad_cases(config: Config, args: argparse.Namespace) -> None:
    """Turns on the config's bad case hook."""
    hook: Any = config.get('default_hooks', {}).get('badcase')
    if hook is None:
        raise UserError(
            '--badcase needs that hook in the config: add default_hooks = '
            "dict(badcase=dict(type='BadCaseAnalysisHook'))"
        )
    kind = hook.get('metric_type', 'loss')
    if kind not in ('loss', 'accuracy'):
        raise UserError(
            "default_hooks.badcase.metric_type must be 'loss' or 'accuracy', and is "
            f'{kind!r}'
        )
    hook.update(enable=True, show=args.show, interval=args.interval)
    if args.show:
        hook.wait_time = args.wait_time
    if not hook.get('metric'):
        hook.metric = (
            config.model.head.loss if kind == 'loss' else config.test_evaluator
        )


def main(args: argparse.Namespace) -> int:
    """Tests.

    Raises:
        UsageError: A file's name has an ending that is not served.
    """
    _check_suffix('--out', args.out, ('.json', '.yaml', '.yml', '.pkl', '.pickle'))
    _check_suffix('--dump', args.dump, ('.pkl', '.pickle'))
    for path in filter(None, (args.out, args.dump)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)  # not after the work
    with messages_for_users():
        choose_weights(args)
        config = merge_args(preflight.read_config(args.config), args)
    with messages_for_users(config):
        preflight.check_device(config)
        preflight.check_data_files(config, ['test'])
        is_file = '://' not in config.load_from
        checkpoint = preflight.read_checkpoint(config.load_from) if is_file else None
        runner = Runner.from_cfg(config)
        if checkpoint is not None:
            preflight.check_weights(runner.model, checkpoint, config.load_from)
        if args.out is not None:
            runner.register_hook(SaveMetricsHook(args.out))
        runner.test()
    return 0
