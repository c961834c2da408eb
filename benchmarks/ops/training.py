"""How many times faster than PyTorch are forward and backward of `selective_scan`?

Gradients of all arguments. The best of the peers of ``peers.py`` counts; the
reference loop takes part where its quadratic backward comes to an end.
"""

import sys
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks._measure import Row, interleave, run
from benchmarks.ops.forward import yardstick
from benchmarks.ops.peers import PEERS
from benchmarks.ops.shapes import SHAPES, YARDSTICK_SIZE, Shape
from mmssm.ops import selective_scan

REFERENCE_LIMIT = 6e8
"""Elements times steps that the reference loop is given; a second or so."""


def measure(seconds: float) -> list[Row]:
    """Measures all shapes."""
    return [row for shape in SHAPES for row in _measure(shape, seconds)]


def train_step(
    scan: Callable[..., Tensor], arguments: dict[str, Tensor], **options: bool
) -> Callable[[], object]:
    """Returns a function that runs a scan forward and backward."""
    leaves = {k: v.detach().requires_grad_() for k, v in arguments.items()}
    cotangent = torch.randn(leaves['u'].shape).to(leaves['u'].dtype)

    def step() -> object:
        out = scan(**leaves, **options)
        return torch.autograd.grad(out, list(leaves.values()), cotangent)

    return step


def _measure(shape: Shape, seconds: float) -> list[Row]:
    arguments = shape.arguments()
    variants = {'ours': train_step(selective_scan, arguments, delta_softplus=True)}
    peers = dict(PEERS)
    if shape.elements * shape.L > REFERENCE_LIMIT:
        del peers['reference loop']
    for name, peer in peers.items():
        variants[name] = train_step(peer, arguments)
    times = interleave({**variants, 'exp': yardstick()}, seconds)
    times['exp'] *= shape.elements / YARDSTICK_SIZE
    best = min(peers, key=times.__getitem__)
    assert shape.training is not None
    rows = [
        Row(
            str(shape),
            f'{best} / ours',
            times[best] / times['ours'],
            *shape.training,
            details={name: 1e3 * time for name, time in times.items()},
        )
    ]
    if shape.lean is not None:
        rows.append(
            Row(str(shape), 'ours / exp', times['ours'] / times['exp'], 7, 5,
                at_least=False)
        )  # fmt: skip
    return rows


if __name__ == '__main__':
    run(measure, __doc__, sys.argv[1:])
