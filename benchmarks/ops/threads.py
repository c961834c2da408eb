"""How much faster are two threads than one?"""

import os
import sys
from collections.abc import Callable

import torch

from benchmarks._measure import Row, interleave, run
from benchmarks.ops.shapes import A, B
from benchmarks.ops.training import train_step
from mmssm.ops import selective_scan


def measure(seconds: float) -> list[Row]:
    """Measures shapes a and b, in both directions."""
    rows = []
    before = torch.get_num_threads()
    for shape in (A, B):
        arguments = shape.arguments()
        with torch.inference_mode():
            forward = _compare(
                lambda a=arguments: selective_scan(**a, delta_softplus=True), seconds
            )
        step = train_step(selective_scan, arguments, delta_softplus=True)
        for case, times in (
            ('forward', forward),
            ('forward + backward', _compare(step, seconds)),
        ):
            rows.append(_row(f'{shape}, {case}', times))
    torch.set_num_threads(before)
    return rows


def _compare(function: Callable[[], object], seconds: float) -> dict[str, float]:
    def with_threads(count: int) -> Callable[[], object]:
        def run_it() -> None:
            torch.set_num_threads(count)
            function()

        return run_it

    return interleave({'1': with_threads(1), '2': with_threads(2)}, seconds)


def _row(case: str, times: dict[str, float]) -> Row:
    enough = (os.cpu_count() or 1) >= 2
    return Row(
        case,
        'one thread / two threads',
        times['1'] / times['2'] if enough else None,
        1.8,
        details={f'{k} threads': 1e3 * v for k, v in times.items()},
        note='' if enough else 'this machine has one core',
    )


if __name__ == '__main__':
    run(measure, __doc__, sys.argv[1:])
