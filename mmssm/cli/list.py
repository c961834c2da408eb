"""Lists models by name.

    mmssm list                       all of them
    mmssm list --weights             those whose trained weights are on this machine
    mmssm list posemamba             those with this in a name
    mmssm list 'hamba-*' --long      with config, results, paper and way to weights
    mmssm list --task hand_mesh --json

A name goes where other commands take a model or a config: `mmssm hand --model NAME`,
`mmssm train NAME`, list_models() and the inferencers in Python.
"""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmssm.apis.catalog import ModelEntry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        'pattern', nargs='?', help='part of a name, or a whole one with * and ?'
    )
    parser.add_argument('--task', help='only models of a task, such as hand_mesh')
    parser.add_argument(
        '--weights', action='store_true', help='only models whose weights are here'
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        '--long', action='store_true', help='all that is known of each model'
    )
    form.add_argument('--json', action='store_true', help='the same as JSON')


def main(args: argparse.Namespace) -> int:
    """Prints the list.

    Raises:
        UsageError: There is no such task.
        UnknownModelError: No model has such a name.
        UserError: None of those that have is all that is asked for.
    """
    from mmssm.apis.catalog import find_model, list_models, list_tasks
    from mmssm.utils.errors import UsageError, UserError

    if args.task is not None and args.task not in list_tasks():
        raise UsageError(
            f'--task is one of {", ".join(list_tasks())}, got {args.task!r}'
        )
    entries = list_models(args.pattern, args.task, args.weights)
    if not entries:
        alike = list_models(args.pattern)
        if not alike:
            find_model(args.pattern)  # which offers the nearest names
        raise UserError(
            f'there are {len(alike)} such models, but none with weights here or for '
            'this task: leave out --weights or --task to see them'
        )
    if args.json:
        print(json.dumps([describe(entry) for entry in entries], indent=1))
    elif args.long:
        print('\n\n'.join('\n'.join(long_lines(entry)) for entry in entries))
    else:
        print('\n'.join(short_lines(entries)))
    return 0


def describe(entry: 'ModelEntry') -> dict:
    """A model as plain data."""
    paper = entry.paper
    return dict(
        alias=entry.alias,
        names=list(entry.names),
        task=entry.task,
        config=str(entry.config),
        weights=None if entry.weights is None else str(entry.weights),
        metrics=dict(entry.metrics),
        dataset=entry.dataset,
        parameters=entry.parameters,
        paper=None if paper is None else dict(title=paper.title, url=paper.url),
        caveat=entry.caveat,
        how_to_get_weights=entry.how_to_get_weights(),
    )


def long_lines(entry: 'ModelEntry') -> list[str]:
    """All that is known of a model."""
    metrics = ', '.join(f'{name} {value:g}' for name, value in entry.metrics.items())
    rows = {
        'task': entry.task,
        'config': entry.config,
        'weights': entry.weights or f'none here; {entry.how_to_get_weights()}',
        'trained on': entry.dataset,
        'results': metrics,
        'beware': entry.caveat,
        'parameters': f'{entry.parameters:,}' if entry.parameters else '',
        'paper': f'{entry.paper.title}, {entry.paper.url}' if entry.paper else '',
        'also called': ', '.join(n for n in entry.names if n != entry.alias),
    }
    return [
        entry.alias,
        *(f'  {name + ":":<13}{value}' for name, value in rows.items() if value),
    ]


def short_lines(entries: Sequence['ModelEntry']) -> list[str]:
    """A line for each model, by task."""
    width = max(len(entry.alias) for entry in entries) if entries else 0
    lines: list[str] = []
    task = None
    for entry in entries:
        if entry.task != task:
            task = entry.task
            lines += [*([''] if lines else []), f'{task}:']
        mark = '*' if entry.weights else ' '
        lines.append(f'{mark} {entry.alias:<{width}}  {entry.dataset}')
    here = sum(entry.weights is not None for entry in entries)
    return [*lines, '', f'models: {len(entries)}; with weights here (*): {here}']
