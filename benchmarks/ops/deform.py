"""What does `deform_scan` save over sampling a map and then scanning the samples?

The scans of DF-Mamba's deformable blocks: stage 3 and stage 5 of an image of 256
pixels, and of one of 128. *Sample, then scan* is our own `deform_sample`, `path_scan`
and the skip; *grid_sample, then scan* reads the samples with PyTorch instead, one
tensor of all taps. The scan in itself, which all of them share, is timed too: no
sampling can be faster than that. Memory is what a call adds to the resident memory of
a fresh process at its peak.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._measure import (
    MEMORY_ENVIRONMENT,
    REPOSITORY,
    Row,
    interleave,
    peak_memory,
    run,
)
from mmssm.ops import ScanPaths, backend, deform_sample, deform_scan, path_scan

STATES, TAPS = 16, 9
CASES = ('forward', 'forward + backward')


@dataclasses.dataclass(frozen=True)
class Block:
    """The map of one deformable block: batch N, side, channels E, rank R of dt."""

    name: str
    N: int
    side: int
    E: int
    R: int

    def __str__(self) -> str:
        return f'{self.name} ({self.N}, {self.side}x{self.side}, {self.E})'

    def arguments(self, seed: int = 0) -> dict[str, Any]:
        """Returns arguments of a model that has learned to look around."""
        generator = torch.Generator(torch.get_default_device()).manual_seed(seed)
        N, L, E = self.N, self.side**2, self.E

        def normal(*sizes: int) -> Tensor:
            return torch.randn(*sizes, generator=generator)

        step = torch.rand(1, E, generator=generator) * 0.099 + 0.001
        near = torch.arange(-1.0, 2.0)
        return dict(
            x=normal(N, L, E),
            offset=normal(N, L, 1, TAPS, 2),
            weight=normal(N, L, 1, TAPS),
            anchors=torch.cartesian_prod(near, near),
            size=(self.side, self.side),
            dt=normal(N, 1, L, self.R),
            A=-torch.arange(1.0, STATES + 1).expand(1, E, -1).clone(),
            B=normal(N, 1, L, STATES),
            C=normal(N, 1, L, STATES),
            D=torch.ones(1, E),
            dt_bias=step + torch.log(-torch.expm1(-step)),
            paths=ScanPaths(torch.arange(L)[None], ((0, 0, False),)),
            dt_weight=normal(1, E, self.R) / 4,
        )


BLOCKS = (
    Block('stage 3, 256 px', 1, 16, 320, 20),
    Block('stage 3, 256 px', 8, 16, 320, 20),
    Block('stage 5, 256 px', 8, 8, 640, 40),
    Block('stage 3, 128 px', 8, 8, 320, 20),
    Block('stage 5, 128 px', 1, 4, 640, 40),
    Block('stage 5, 128 px', 8, 4, 640, 40),
)
LARGE = Block('a large map', 8, 32, 320, 20)


def sample_then_scan(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
    D: Tensor,
    **rest: Any,
) -> Tensor:
    """The two ops one after the other, and the skip."""
    u = deform_sample(x, offset, weight, anchors, size)
    return path_scan(u, D=None, **rest) + D.sum(0) * x


def grid_sample_then_scan(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
    D: Tensor,
    **rest: Any,
) -> Tensor:
    """The same with PyTorch's sampling; one group of channels."""
    H, W = size
    token = torch.arange(H * W)
    places = torch.stack([token // W, token % W], -1)[:, None] + anchors
    # (row, column) to (x, y) in [-1, 1], between the centres of the corners.
    scale = torch.tensor([max(W - 1, 1), max(H - 1, 1)])
    grid = (places + offset[:, :, 0]).flip(-1) * 2 / scale - 1
    samples = F.grid_sample(x.mT.unflatten(2, size), grid, align_corners=True)
    u = torch.einsum('nelm,nlm->nle', samples, weight[:, :, 0])
    return path_scan(u, D=None, **rest) + D.sum(0) * x


def scan_alone(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
    **rest: Any,
) -> Tensor:
    """Without samples."""
    return path_scan(x, **rest)


def reference(**arguments: Any) -> Tensor:
    """Our definition in plain PyTorch."""
    with backend('reference'):
        return deform_scan(**arguments)


VARIANTS: dict[str, Callable[..., Tensor]] = {
    'ours': deform_scan,
    'sample, then scan': sample_then_scan,
    'grid_sample, then scan': grid_sample_then_scan,
}


def measure(seconds: float) -> list[Row]:
    """Measures time on all blocks, and memory on a large map."""
    rows = [row for block in BLOCKS for row in _measure(block, seconds)]
    for case in CASES:
        sizes = {name: _memory(name, case) / 1e6 for name in VARIANTS}
        for name, most in (('grid_sample, then scan', 0.5), ('sample, then scan', 1)):
            rows.append(
                Row(
                    f'{LARGE}, {case}',
                    f'memory, ours / {name}',
                    sizes['ours'] / sizes[name],
                    most,
                    at_least=False,
                    details={f'{name} MB': size for name, size in sizes.items()},
                )
            )
    return rows


def _measure(block: Block, seconds: float) -> list[Row]:
    functions = {**VARIANTS, 'reference': reference, 'scan alone': scan_alone}
    gates = {
        'forward': {'reference': 3, 'grid_sample, then scan': None},
        'forward + backward': {'grid_sample, then scan': 2, 'sample, then scan': 2},
    }
    rows = []
    for case, asked in gates.items():
        arguments = block.arguments()
        if case != 'forward':
            del functions['reference']
        times = interleave(
            {name: call(f, arguments, case) for name, f in functions.items()}, seconds
        )
        for name, gate in asked.items():
            most = times[name] / times['scan alone']
            rows.append(
                Row(
                    f'{block}, {case}',
                    f'{name} / ours',
                    times[name] / times['ours'],
                    gate,
                    details={k: 1e3 * time for k, time in times.items()},
                    note=f'at most {most:.2f}x, were samples free',
                )
            )
    return rows


def call(
    function: Callable[..., Tensor], arguments: dict[str, Any], case: str
) -> Callable[[], object]:
    """Returns the function that is measured."""
    if case == 'forward':
        return torch.inference_mode()(lambda: function(**arguments))
    constants = ('anchors', 'size', 'paths')
    leaves = {
        k: v if k in constants else v.detach().requires_grad_()
        for k, v in arguments.items()
    }
    wanted = [v for k, v in leaves.items() if k not in constants]
    cotangent = torch.randn(arguments['x'].shape)

    def step() -> object:
        y = function(**leaves)
        return torch.autograd.grad(y, wanted, cotangent, allow_unused=True)

    return step


def _memory(variant: str, case: str) -> int:
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.ops.deform', '--memory', variant, case,
         str(torch.get_num_threads())],
        cwd=REPOSITORY,
        env={**os.environ, **MEMORY_ENVIRONMENT},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--memory']:
        _, _, variant, case, threads = sys.argv
        torch.set_num_threads(int(threads))
        print(peak_memory(call(VARIANTS[variant], LARGE.arguments(), case)))
    else:
        run(measure, __doc__, sys.argv[1:])
