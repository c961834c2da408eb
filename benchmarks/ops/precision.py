"""Do bfloat16 inputs cost more than float32 ones?"""

import sys

import torch

from benchmarks._measure import Row, interleave, run
from benchmarks.ops.shapes import A, B, Shape
from benchmarks.ops.training import train_step
from mmssm.ops import selective_scan

HALVED = ('u', 'delta', 'B', 'C')


def measure(seconds: float) -> list[Row]:
    """Measures shapes a and b, in both directions."""
    return [row for shape in (A, B) for row in _measure(shape, seconds)]


def _measure(shape: Shape, seconds: float) -> list[Row]:
    single = shape.arguments()
    half = {k: v.bfloat16() if k in HALVED else v for k, v in single.items()}
    kinds = {'float32': single, 'bfloat16': half}
    with torch.inference_mode():
        forward = interleave(
            {
                name: lambda a=arguments: selective_scan(**a, delta_softplus=True)
                for name, arguments in kinds.items()
            },
            seconds,
        )
    both = interleave(
        {
            name: train_step(selective_scan, arguments, delta_softplus=True)
            for name, arguments in kinds.items()
        },
        seconds,
    )
    return [
        Row(
            f'{shape}, {case}',
            'bfloat16 / float32',
            times['bfloat16'] / times['float32'],
            1.2,
            at_least=False,
            details={name: 1e3 * time for name, time in times.items()},
        )
        for case, times in (('forward', forward), ('forward + backward', both))
    ]


if __name__ == '__main__':
    run(measure, __doc__, sys.argv[1:])
