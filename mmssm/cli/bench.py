"""Measures how fast models, or the scans, are on this machine.

    mmssm bench posemamba-s-h36m                  a model by name, or a config file
    mmssm bench posemamba-s-h36m sasmamba-h36m --batch-size 8
    mmssm bench hamba-small-synthhand --device cuda --json
    mmssm bench ops                               the scans: compiled, and in PyTorch

Networks have random weights and random input; loading of data and decoding are left
out. Times are medians. In a checkout, `make bench` and the scripts of benchmarks/ hold
the scans and the models against others'.
"""

import argparse
import dataclasses
import json
import os

from mmssm.utils.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        'models',
        nargs='+',
        metavar='MODEL',
        help='name of a model (mmssm list), config file, or ops',
    )
    parser.add_argument(
        '--input-shape',
        type=int,
        nargs='+',
        metavar='N',
        help='height and width of an image, or frames, joints and channels of a clip '
        '(default: what the model is for)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=4, metavar='N', help='inputs (default: 4)'
    )
    parser.add_argument(
        '--repeats', type=int, default=5, metavar='N', help='timed runs (default: 5)'
    )
    parser.add_argument('--device', default='cpu', help='such as cuda (default: cpu)')
    parser.add_argument(
        '--threads', type=int, metavar='N', help='threads of the CPU (default: all)'
    )
    parser.add_argument('--json', action='store_true', help='print JSON')


def main(args: argparse.Namespace) -> int:
    """Measures and prints."""
    shape = read_shape(args.input_shape)
    for name in ('batch_size', 'repeats', 'threads'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f'--{name.replace("_", "-")} must be 1 or more')
    import torch

    from mmssm.apis.devices import find_device
    from mmssm.engine.cli import messages_for_users

    find_device(args.device)  # its errors are better than PyTorch's
    torch.set_num_threads(args.threads or os.cpu_count() or 1)
    with messages_for_users():
        rows = [row for name in args.models for row in _measure(name, shape, args)]
    print(json.dumps(rows, indent=1) if args.json else '\n'.join(map(_line, rows)))
    return 0


def read_shape(sizes: list[int] | None) -> tuple[int, ...] | None:
    """The shape of one input, by the numbers of ``--input-shape``.

    Returns:
        ``(3, height, width)``, ``(frames, joints, channels)``, or None for None.

    Raises:
        UsageError: There are not one to three of them, or one is not positive.
    """
    if sizes is None:
        return None
    if len(sizes) not in (1, 2, 3) or min(sizes) < 1:
        raise UsageError(
            '--input-shape takes the side, or height and width, of an image, or '
            f'frames, joints and channels of a clip; got {sizes}'
        )
    if len(sizes) == 3:
        return tuple(sizes)
    return 3, sizes[0], sizes[-1]


def _measure(
    name: str, shape: tuple[int, ...] | None, args: argparse.Namespace
) -> list[dict]:
    from mmssm.apis.catalog import resolve_config
    from mmssm.apis.speed import measure_scans, measure_speed
    from mmssm.engine import preflight
    from mmssm.utils.errors import UserError

    if name == 'ops':
        return [
            dict(scan=case, milliseconds=times)
            for case, times in measure_scans(args.repeats, args.device)
        ]
    config = preflight.read_config(str(resolve_config(name)))
    try:
        speed = measure_speed(config, shape, args.batch_size, args.repeats, args.device)
    except (RuntimeError, ValueError) as error:
        if shape is None and isinstance(error, RuntimeError):
            raise
        raise UserError(f'{name}: {error}') from error
    return [dict(model=name, **dataclasses.asdict(speed), per_second=speed.per_second)]


def _line(row: dict) -> str:
    if 'scan' in row:
        times = ', '.join(f'{k} {ms:.3g} ms' for k, ms in row['milliseconds'].items())
        return f'selective_scan, {row["scan"]}: {times}'
    shape = ' x '.join(map(str, row['shape']))
    return (
        f'{row["model"]}: input {shape}, {row["params"]:,} parameters, '
        f'{row["macs"] / 1e9:.2f} G multiply-accumulates, {row["latency_ms"]:.1f} ms, '
        f'{row["per_second"]:.1f} a second in batches of {row["batch"]}'
    )
