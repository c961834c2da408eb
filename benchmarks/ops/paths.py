"""What does `path_scan` save over permuting, scanning and merging?

The scan of one PoseMamba-S block on a clip of 243 frames, beside `CopiedPaths` of
``peers.py`` over our own `selective_scan`. Memory is what a call adds to the resident
memory of a fresh process at its peak.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks._measure import (
    MEMORY_ENVIRONMENT,
    REPOSITORY,
    Row,
    interleave,
    peak_memory,
    run,
)
from benchmarks.ops.peers import CopiedPaths, grid_paths
from mmssm.ops import path_scan, selective_scan

FRAMES, JOINTS, CHANNELS, RANK, STATES = 243, 17, 128, 4, 16
CASES = ('forward', 'forward + backward')
VARIANTS = {
    'ours': path_scan,
    'copies': CopiedPaths(partial(selective_scan, delta_softplus=True), FRAMES, JOINTS),
}


def measure(seconds: float) -> list[Row]:
    """Measures time and memory, in both directions."""
    rows = []
    for case in CASES:
        times = interleave({name: call(name, case) for name in VARIANTS}, seconds)
        rows.append(
            Row(
                f'PoseMamba-S block, {case}',
                'time, copies / ours',
                times['copies'] / times['ours'],
                1.5,
                details={name: 1e3 * time for name, time in times.items()},
            )
        )
    for case in CASES:
        sizes = {name: _memory(name, case) / 1e6 for name in VARIANTS}
        rows.append(
            Row(
                f'PoseMamba-S block, {case}',
                'memory, ours / copies',
                sizes['ours'] / sizes['copies'],
                0.3,
                at_least=False,
                details={f'{name} MB': size for name, size in sizes.items()},
            )
        )
    return rows


def call(variant: str, case: str) -> Callable[[], object]:
    """Returns the function that is measured."""
    paths = grid_paths(FRAMES, JOINTS)
    function = VARIANTS[variant]
    x, weights = _arguments()
    if case == 'forward':
        return torch.inference_mode()(lambda: function(x, paths=paths, **weights))
    x = [t.requires_grad_() for t in x]
    weights = {k: t.requires_grad_() for k, t in weights.items()}
    cotangent = torch.randn(1, FRAMES * JOINTS, CHANNELS)

    def step() -> object:
        y = function(x, paths=paths, **weights)
        return torch.autograd.grad(y, [*x, *weights.values()], cotangent)

    return step


def _arguments() -> tuple[list[Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    L, K = FRAMES * JOINTS, 4

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    step = torch.rand(K, CHANNELS, generator=generator) * 0.099 + 0.001
    return [normal(1, L, CHANNELS), normal(1, L, CHANNELS)], dict(
        dt=normal(1, K, L, RANK),
        A=-torch.arange(1.0, STATES + 1).expand(K, CHANNELS, -1).clone(),
        B=normal(1, K, L, STATES),
        C=normal(1, K, L, STATES),
        D=torch.ones(K, CHANNELS),
        dt_bias=step + torch.log(-torch.expm1(-step)),
        dt_weight=normal(K, CHANNELS, RANK) / 4,
    )


def _memory(variant: str, case: str) -> int:
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.ops.paths', '--memory', variant, case,
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
        print(peak_memory(call(variant, case)))
    else:
        run(measure, __doc__, sys.argv[1:])
