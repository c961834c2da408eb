"""Checks the data files of a config before time is spent on them.

Reads every file that the config's datasets name, says what is wrong with the
first that does not fit, and compares counts with those of the released files.

    python tools/misc/check_dataset.py CONFIG
    python tools/misc/check_dataset.py CONFIG --phase train --strict
    python tools/misc/check_dataset.py configs/_base_/datasets/mpi_inf_3dhp_27frm.py \
        --cfg-options train_dataloader.dataset.data_root=DIR

A part of a data set is fine to have: other counts are an error only with
--strict.
"""

import argparse
import sys

from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.datasets.checks import check, hip_distance
from mmssm.engine import preflight
from mmssm.engine.cli import OptionsAction, merge_options, messages_for_users

WELL_BELOW = 0.25
"""Pelvis to the middle of the hips, in parts of the distance between the hips."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, of a model or of a dataset base')
    parser.add_argument(
        '--phase',
        nargs='+',
        default=['train', 'val'],
        choices=['train', 'val', 'test'],
        help='which datasets to check (default: train val)',
    )
    parser.add_argument(
        '--strict', action='store_true', help='exit with status 1 where counts differ'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='changes of the config',
    )
    return parser.parse_args(argv)


def check_phase(settings: dict, phase: str) -> bool:
    """Builds one dataset and prints its numbers.

    Args:
        settings: Its config.
        phase: For the heading.

    Returns:
        Whether every number is the released one.
    """
    dataset = DATASETS.build({**settings, 'lazy_init': True})
    print(f'{phase}: {type(dataset).__name__}, {settings["ann_file"]}')
    results = check(dataset)
    for result in results:
        verdict = '' if result.expected is None else 'ok'
        if not result.passed:
            verdict = f'DIFFERS, expected {result.expected:,}'
        print(f'  {result.what:24} {result.found:>12,}  {verdict}')
    distance = hip_distance(dataset)
    in_order = distance < WELL_BELOW
    verdict = 'ok' if in_order else 'DIFFERS: are the joints in another order?'
    print(f'  {"pelvis off the hips":24} {distance:>12.3f}  {verdict}')
    dataset.full_init()
    dataset[0]
    return in_order and all(result.passed for result in results)


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    args = parse_args(argv)
    with messages_for_users():
        config = preflight.read_config(args.config)
        merge_options(config, args)
        init_default_scope(config.get('default_scope') or 'mmpose')
        preflight.check_data_files(config, args.phase)
    right = True
    for phase in args.phase:
        try:
            with messages_for_users(config):
                right &= check_phase(config[f'{phase}_dataloader'].dataset, phase)
        except (ValueError, FileNotFoundError, TypeError) as error:
            sys.exit(f'error: {phase}: {error}')
    if right:
        print('nothing differs from the released files')
    else:
        print('other counts than the released files have: a part of them, or not them')
        if args.strict:
            sys.exit(1)


if __name__ == '__main__':
    main()
