"""How many times faster than PyTorch is the forward of `selective_scan`?

Peers are those of ``peers.py``, under `torch.inference_mode`. The yardstick of the
machine is `torch.exp` over as many elements as the scan has states to update.
"""

import sys
from collections.abc import Callable

import torch

from benchmarks._measure import Row, interleave, run
from benchmarks.ops.peers import PEERS
from benchmarks.ops.shapes import SHAPES, YARDSTICK_SIZE, Shape
from mmssm.ops import selective_scan

SLOWER_LEAN = 1.3
"""How much slower than recorded the lean loop may be for its ratio to count."""


def yardstick() -> Callable[[], object]:
    """Returns the function whose time per element is the machine's yardstick."""
    values, out = torch.randn(YARDSTICK_SIZE), torch.empty(YARDSTICK_SIZE)
    return lambda: torch.exp(values, out=out)


def measure(seconds: float) -> list[Row]:
    """Measures all shapes."""
    rows = []
    for shape in SHAPES:
        with torch.inference_mode():
            rows += _measure(shape, seconds)
    return rows


def _measure(shape: Shape, seconds: float) -> list[Row]:
    arguments = shape.arguments()
    variants = {'ours': lambda: selective_scan(**arguments, delta_softplus=True)}
    for name, peer in PEERS.items():
        variants[name] = lambda peer=peer: peer(**arguments)
    times = interleave({**variants, 'exp': yardstick()}, seconds)
    times['exp'] *= shape.elements / YARDSTICK_SIZE
    lean = times['lean loop'] / times['exp']
    slower = shape.lean is not None and lean > SLOWER_LEAN * shape.lean
    assert shape.forward is not None
    rows = [
        Row(
            str(shape),
            'lean loop / ours',
            times['lean loop'] / times['ours'],
            *shape.forward,
            details={name: 1e3 * time for name, time in times.items()},
            note='does not count: the lean loop is slow here' if slower else '',
        )
    ]
    if shape.lean is not None:
        rows += [
            Row(str(shape), 'ours / exp', times['ours'] / times['exp'], 1.5,
                at_least=False),
            Row(str(shape), 'lean loop / exp', lean, SLOWER_LEAN * shape.lean,
                at_least=False, note=f'{shape.lean:g}x where the gates were set'),
        ]  # fmt: skip
    return rows


if __name__ == '__main__':
    run(measure, __doc__, sys.argv[1:])
