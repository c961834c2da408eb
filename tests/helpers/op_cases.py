"""One call of each op, as a function of its tensors."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from helpers import scan_cases
from helpers.scan_arguments import (
    deform_arguments,
    path_arguments,
    selective_arguments,
)
from mmssm.ops import deform_sample, deform_scan, path_scan, selective_scan


class Case(NamedTuple):
    """One call of an op: a function of its tensors, and the tensors by name."""

    call: Callable[[dict[str, Tensor]], tuple[Tensor, ...]]
    tensors: dict[str, Tensor]

    def run(self) -> dict[str, Tensor]:
        """Returns outputs and gradients for fixed random cotangents, by name."""
        wanted = {k: t for k, t in self.tensors.items() if t.requires_grad}
        return scan_cases.run_op(lambda: self.call(self.tensors), wanted)


def selective(N=2, E=6, L=37, d_state=3, groups=2, dtype=torch.float32):
    """`selective_scan` with all its options."""

    def call(tensors):
        return selective_scan(**tensors, delta_softplus=True, return_last_state=True)

    return Case(call, selective_arguments(N, E, L, d_state, groups, dtype, grad=True))


def along_paths(dtype=torch.float32, **sizes):
    """`path_scan` of two sources along four paths."""
    order, arguments = path_arguments(**sizes, dtype=dtype, grad=True)

    def call(tensors):
        rest = {k: t for k, t in tensors.items() if k not in ('x0', 'x1')}
        x = tensors['x0'], tensors['x1']
        return path_scan(x, paths=order, **rest, return_last_state=True)

    return Case(call, {k: t for k, t in arguments.items() if t is not None})


def sampled(dtype=torch.float32, **sizes):
    """`deform_sample` with weights by token."""
    size, _, arguments = deform_arguments(**sizes, dtype=dtype, grad=True)
    names = ('x', 'offset', 'weight', 'anchors')
    places = {name: arguments[name] for name in names}
    return Case(lambda tensors: (deform_sample(**tensors, size=size),), places)


def deformed(dtype=torch.float32, **sizes):
    """`deform_scan` with weights by token."""
    size, order, arguments = deform_arguments(**sizes, dtype=dtype, grad=True)
    tensors = {k: t for k, t in arguments.items() if t is not None}

    def call(tensors):
        return (deform_scan(**{'D': None, **tensors}, size=size, paths=order),)

    return Case(call, tensors)


OPS = {
    'selective_scan': selective,
    'path_scan': along_paths,
    'deform_sample': sampled,
    'deform_scan': deformed,
}
