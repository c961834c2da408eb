"""Trains a model from a config file.

Works for the configs of this project and for MMPose's own.

    python tools/train.py CONFIG
    python tools/train.py CONFIG --resume              # go on after a crash
    python tools/train.py CONFIG --cfg-options train_cfg.max_epochs=5
    tools/dist_train.sh CONFIG 2                       # two processes

Beyond what MMPose's tool of the same name does: checkpoints are written
atomically, a run that was killed resumes to the very numbers of an
uninterrupted one (ReseedHook), and a loss that is not a number stops training
with the batch saved. A config that sets these hooks itself is left alone.
"""

import argparse

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.engine import preflight
from mmssm.engine.checkpoint_files import find_resumable
from mmssm.engine.cli import (
    add_common_arguments,
    merge_options,
    messages_for_users,
    set_visualization,
    set_work_dir,
)
from mmssm.utils.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints (default: work_dir of the config, else '
        './work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a name, from the last whole one in '
        'the working directory, or from the start if there is none',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision (needs a GPU)'
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='do not validate while training'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the actual batch size over the '
        'auto_scale_lr.base_batch_size of the config',
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def merge_args(config: Config, args: argparse.Namespace) -> Config:
    """Merges the command line into the config; ``--cfg-options`` come last."""
    set_work_dir(config, args)
    if args.no_validate:
        config.val_cfg = None
        config.val_dataloader = None
        config.val_evaluator = None
    if args.amp:
        use_amp(config)
    if args.resume is not None:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        if not config.get('auto_scale_lr'):
            raise UserError(
                '--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in '
                'the config'
            )
        config.auto_scale_lr.enable = True
    if args.show or args.show_dir is not None:
        set_visualization(config, args, show=args.show)
    merge_options(config, args)
    if 'preprocess_cfg' in config:
        config.model.setdefault('data_preprocessor', config.preprocess_cfg)
    return config


def use_amp(config: Config) -> None:
    """Switches the optimizer wrapper to mixed precision."""
    wrapper = config.optim_wrapper.get('type', 'OptimWrapper')
    name = getattr(wrapper, '__name__', wrapper)
    if name not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp does not work with the optimizer wrapper {name}')
    config.optim_wrapper.type = 'AmpOptimWrapper'
    config.optim_wrapper.setdefault('loss_scale', 'dynamic')


def add_safety_hooks(config: Config) -> None:
    """Gives a config our hooks for checkpoints, random numbers and losses."""
    config.setdefault('default_hooks', {})
    hooks = config.default_hooks
    hooks.setdefault('checkpoint', {'type': 'CheckpointHook'})
    checkpoint = hooks.checkpoint
    if (
        checkpoint is not None
        and checkpoint.get('type') == 'CheckpointHook'
        and checkpoint.get('file_client_args') is None
    ):
        checkpoint['type'] = 'mmssm.ResumableCheckpointHook'
    hooks.setdefault('reseed', {'type': 'mmssm.ReseedHook'})
    hooks.setdefault('invalid_loss', {'type': 'mmssm.InvalidLossHook'})


def choose_checkpoint(config: Config) -> dict | None:
    """Finds what to resume from and takes over its seed.

    Returns:
        The checkpoint to go on from, or None for a run from the start.
    """
    if not config.get('resume'):
        if config.get('load_from') and '://' not in config.load_from:
            preflight.read_checkpoint(config.load_from)
        return None
    if config.get('load_from') is None:
        found = find_resumable(config.work_dir)
        if found is None:
            print_log(
                f'--resume: {config.work_dir} holds no checkpoint; training starts '
                'from the beginning'
            )
            config.resume = False
            return None
        config.load_from = str(found[0])
        checkpoint = found[1]
    elif '://' in config.load_from:
        return None
    else:
        checkpoint = preflight.read_checkpoint(config.load_from)
    meta = checkpoint.get('meta') or {}
    if 'epoch' not in meta:
        raise UserError(
            f'--resume: {config.load_from} holds weights, not the state of a training; '
            f'to start from them: --cfg-options load_from={config.load_from}'
        )
    print_log(
        f'Going on from {config.load_from}: epoch {meta.get("epoch")}, iteration '
        f'{meta.get("iter")}'
    )
    randomness = config.get('randomness') or {}
    if randomness.get('seed') is None and meta.get('seed') is not None:
        # The order of the data is drawn before MMEngine reads the checkpoint.
        config.randomness = {**randomness, 'seed': meta['seed']}
    return checkpoint


def main(argv: list[str] | None = None) -> None:
    """Trains."""
    args = parse_args(argv)
    with messages_for_users():
        config = merge_args(preflight.read_config(args.config), args)
    with messages_for_users(config):
        preflight.check_device(config)
        validates = config.get('val_cfg') is not None
        preflight.check_data_files(config, ['train', 'val'] if validates else ['train'])
        add_safety_hooks(config)
        checkpoint = choose_checkpoint(config)
        runner = Runner.from_cfg(config)
        if checkpoint is not None:
            preflight.check_weights(runner.model, checkpoint, config.load_from)
        runner.train()


if __name__ == '__main__':
    main()
