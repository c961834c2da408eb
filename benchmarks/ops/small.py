"""Is any small shape slower than the lean loop?

Under `torch.inference_mode`, where a loop has the least to do.
"""

import sys

import torch

from benchmarks._measure import Row, interleave, run
from benchmarks.ops.peers import lean_loop
from benchmarks.ops.shapes import SMALL
from mmssm.ops import selective_scan


def measure(seconds: float) -> list[Row]:
    """Measures the small shapes."""
    rows = []
    for shape in SMALL:
        arguments = shape.arguments()
        with torch.inference_mode():
            times = interleave(
                {
                    'ours': lambda a=arguments: selective_scan(
                        **a, delta_softplus=True
                    ),
                    'lean loop': lambda a=arguments: lean_loop(**a),
                },
                seconds / 2,
            )
        rows.append(
            Row(
                str(shape).strip(),
                'lean loop / ours',
                times['lean loop'] / times['ours'],
                1,
                details={name: 1e3 * time for name, time in times.items()},
            )
        )
    return rows


if __name__ == '__main__':
    run(measure, __doc__, sys.argv[1:])
