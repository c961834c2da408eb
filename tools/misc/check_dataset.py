"""Checks the data files of a config before time is spent on them.

Reads every file that the config's datasets name, says what is wrong with the
first that does not fit, and compares counts with those of the released files.

    python tools/misc/check_dataset.py CONFIG
    python tools/misc/check_dataset.py CONFIG --phase train --strict
    python tools/misc/check_dataset.py configs/_base_/datasets/mpi_inf_3dhp_27frm.py \
        --cfg-options train_dataloader.dataset.data_root=DIR

A part of a data set is fine to have: other counts are an error only with
--strict. Of hands, lengths of bones, projections and chirality are measured too; if
they are wrong, so is everything that is made of the files, and that is an error.
"""

import argparse
import sys
from typing import Any

import numpy as np
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.datasets import hand_checks
from mmssm.datasets.checks import Check, check, hip_distance
from mmssm.datasets.hand_checks import Measure
from mmssm.engine import preflight
from mmssm.engine.cli import OptionsAction, merge_options, messages_for_users
from mmssm.utils.errors import UserError

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
        '--images',
        type=int,
        default=20,
        help='how many images of a data set of hands to look at (default: 20)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='changes of the config',
    )
    return parser.parse_args(argv)


def print_counts(results: list[Check]) -> bool:
    """Prints counts beside those of the released files.

    Args:
        results: The counts.

    Returns:
        Whether none differs.
    """
    for result in results:
        verdict = '' if result.expected is None else 'ok'
        if not result.passed:
            verdict = f'DIFFERS, expected {result.expected:,}'
        print(f'  {result.what:28} {result.found:>12,}  {verdict}')
    return all(result.passed for result in results)


def print_measures(measures: list[Measure]) -> bool:
    """Prints measures beside the range they should lie in.

    Args:
        measures: The measures.

    Returns:
        Whether all lie in theirs.
    """
    for one in measures:
        verdict = 'ok' if one.passed else f'WRONG, expected {one.low:g} to {one.high:g}'
        if np.isnan(one.found):
            verdict = 'nothing to measure'
        print(f'  {one.what:28} {one.found:>12.3f}  {verdict}')
    return all(one.passed for one in measures)


def check_clips(dataset: Any) -> bool:
    """Prints the numbers of a data set of lifting clips.

    Args:
        dataset: The data set, not yet initialized.

    Returns:
        Whether every number is the released one.
    """
    right = print_counts(check(dataset))
    distance = hip_distance(dataset)
    in_order = distance < WELL_BELOW
    verdict = 'ok' if in_order else 'DIFFERS: are the joints in another order?'
    print(f'  {"pelvis off the hips":28} {distance:>12.3f}  {verdict}')
    dataset.full_init()
    return right and in_order


def check_hands(dataset: Any, images: int) -> bool:
    """Prints the numbers of a data set of hands, and looks at some images.

    Args:
        dataset: The data set.
        images: How many images to look at.

    Returns:
        Whether every count is the released one.

    Raises:
        ValueError: Units, order of joints or cameras are wrong, or an image is.
    """
    dataset.full_init()
    right = print_counts(hand_checks.check_counts(dataset))
    if not print_measures(hand_checks.measure(dataset)):
        raise ValueError(
            'units, the order of joints or cameras are not as they should be: see '
            'WRONG above'
        )
    hand_checks.check_images(dataset, images)
    return right


def check_phase(settings: dict, phase: str, images: int) -> bool:
    """Builds one dataset and prints its numbers.

    Args:
        settings: Its config.
        phase: For the heading.
        images: How many images of hands to look at.

    Returns:
        Whether every count is the released one.
    """
    if 'datasets' in settings:  # a mixture
        results = [check_phase(part, phase, images) for part in settings['datasets']]
        return all(results)
    dataset = DATASETS.build({**settings, 'lazy_init': True})
    inner = settings.get('dataset', settings)
    place = inner.get('ann_file') or inner.get('data_root')
    print(f'{phase}: {type(dataset).__name__}, {place}')
    if hand_checks.is_hand_dataset(dataset):
        right = check_hands(dataset, images)
    else:
        right = check_clips(dataset)
    dataset[0]
    return right


def check_named_phase(settings: dict, phase: str, images: int) -> bool:
    """As :func:`check_phase`; what a dataset refuses is said with the phase."""
    try:
        return check_phase(settings, phase, images)
    except ValueError as error:
        raise UserError(f'{phase}: {error}') from error


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
        settings = config[f'{phase}_dataloader'].dataset
        try:
            with messages_for_users(config):
                right &= check_named_phase(settings, phase, args.images)
        except (FileNotFoundError, TypeError) as error:
            sys.exit(f'error: {phase}: {error}')
    if right:
        print('nothing differs from the released files')
    else:
        print('other counts than the released files have: a part of them, or not them')
        if args.strict:
            sys.exit(1)


if __name__ == '__main__':
    main()
