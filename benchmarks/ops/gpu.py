"""How fast are the ops on a GPU, beside mamba-ssm's kernel and plain PyTorch?

    python -m benchmarks.ops.gpu --out results.json [--device cuda] [--seconds 2]

The scans at the shapes of pose models, forward and with backward, in float32 and in
bfloat16; a layer of PoseMamba on `path_scan` beside the copies, projections, scan and
merge that are around mamba-ssm's kernel elsewhere; DF-Mamba's scans on `deform_scan`
beside `grid_sample`. A ratio counts where mamba-ssm is there (docs/gpu.md says how it
is built): the faster of the peers is named. It needs torch and nothing else.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._gpu import (
    Comparison,
    Function,
    Results,
    add_arguments,
    check_device,
    compare,
    exponential_floor,
    memory_row,
    num_sets,
    peak_bytes,
)
from benchmarks._measure import Row
from benchmarks.ops import deform
from benchmarks.ops.peers import (
    MAMBA,
    PEERS,
    CopiedPaths,
    Peer,
    find_mamba,
    grid_paths,
)
from benchmarks.ops.shapes import Shape
from benchmarks.ops.training import train_step
from mmssm.ops import ScanPaths, backend, path_scan, selective_scan

TITLE = 'The ops on a GPU'
BF16 = 'bfloat16'
LOOPS = ('lean loop', 'chunked')


@dataclasses.dataclass(frozen=True)
class Gated:
    """A shape and what is asked there: (gate, aim) beside the faster peer.

    Args:
        shape: The shape.
        forward: How many times faster the forward.
        training: How many times faster forward and backward.
        most: Milliseconds that the forward may take on an H200.
        large: Whether it fills the chip: then the forward may take twice what its
            exponentials take.
    """

    shape: Shape
    forward: tuple[float, float]
    training: tuple[float, float]
    most: float | None = None
    large: bool = False


SHAPES = (
    Gated(Shape('PoseMamba-S, 64 clips', 64, 4, 128, 4131), (3, 5), (2.5, 4), 1.17,
          large=True),
    Gated(Shape('PoseMamba-S, one clip', 1, 4, 128, 4131), (1.5, 3), (1.5, 2.5), 0.06),
    Gated(Shape('DF-Mamba, stage 3', 128, 1, 320, 256), (1.5, 2.2), (1.4, 2.2),
          large=True),
    Gated(Shape('DF-Mamba, stage 5', 128, 1, 640, 64), (1.5, 2.2), (1.4, 2.2)),
    Gated(Shape('VMamba-T', 128, 4, 192, 3136, 1), (1.3, 2), (1.3, 2), large=True),
    Gated(Shape('Hamba', 64, 4, 1024, 22, 1), (2.5, 5), (2, 4)),
    Gated(Shape('frames', 15552, 2, 128, 17), (10, 25), (8, 20), large=True),
)  # fmt: skip
CASES = ('forward', 'forward + backward')
FRAMES, JOINTS, CHANNELS, RANK, STATES = 243, 17, 128, 4, 16
CLIPS = 64
LAYER_GATES = {CASES[0]: (4.0, 6.0), CASES[1]: (3.0, None)}
BLOCKS = (
    deform.Block('DF-Mamba, stage 3', 128, 16, 320, 20),
    deform.Block('DF-Mamba, stage 5', 128, 8, 640, 40),
)


class Benchmark:
    """All rows of this benchmark.

    Args:
        results: Where rows go.
        device: Where the ops run.
        seconds: Time for each comparison.
        tiny: Whether to shrink all sizes.
    """

    def __init__(
        self, results: Results, device: torch.device, seconds: float, tiny: bool
    ) -> None:
        self.results = results
        self.device = device
        self.seconds = seconds
        self.tiny = tiny
        self.mamba = find_mamba()

    def run(self) -> None:
        """Measures everything; a case that fails does not end the others."""
        for gated in SHAPES:
            for case in CASES:
                with self.results.case(f'{gated.shape}, {case}'):
                    self.results.add(*self.scan(gated, case))
        for case in CASES:
            with self.results.case(f'path_scan, {case}'):
                self.results.add(*self.layer(case))
        for block in BLOCKS:
            for case in CASES:
                with self.results.case(f'{block}, {case}'):
                    self.results.add(*self.samples(block, case))

    def scan(self, gated: Gated, case: str) -> list[Row]:
        """`selective_scan` at one shape."""
        shape = gated.shape
        if self.tiny:
            sizes = dict(N=min(shape.N, 2), C=min(shape.C, 8), L=min(shape.L, 33))
            shape = dataclasses.replace(shape, **sizes)
        ours = partial(selective_scan, delta_softplus=True)
        peers: dict[str, Peer] = {name: PEERS[name] for name in LOOPS}
        variants = {
            'ours': self.calls(ours, shape, case),
            f'ours, {BF16}': self.calls(ours, shape, case, torch.bfloat16),
        }
        if not isinstance(self.mamba, str):
            peers = {MAMBA: self.mamba, **peers}
            variants[f'{MAMBA}, {BF16}'] = self.calls(
                self.mamba, shape, case, torch.bfloat16
            )
        variants |= {k: self.calls(peer, shape, case) for k, peer in peers.items()}
        times = compare(variants, self.device, self.seconds)
        for name in ('ours', f'ours, {BF16}'):
            times.check(name)
        gate = gated.forward if case == CASES[0] else gated.training
        where = f'{gated.shape}, {case}'
        seconds = times.seconds
        rows = [
            self.ratio(where, times, list(peers), gate),
            Row(where, f'float32 / {BF16}',
                seconds['ours'] / seconds[f'ours, {BF16}'], 1),
        ]  # fmt: skip
        if MAMBA in seconds and f'{MAMBA}, {BF16}' in seconds:
            faster = seconds[f'{MAMBA}, {BF16}'] / seconds[f'ours, {BF16}']
            rows.append(Row(where, f'{MAMBA} / ours, both {BF16}', faster))
        if case == CASES[0]:
            rows += self.absolute(where, gated, shape, seconds['ours'])
        return rows

    def absolute(
        self, where: str, gated: Gated, shape: Shape, seconds: float
    ) -> list[Row]:
        """The time of a forward by itself."""
        rows = []
        if gated.most is not None:
            rows.append(
                Row(where, 'time', 1e3 * seconds, gated.most, at_least=False,
                    unit=' ms')
            )  # fmt: skip
        # Each update of a state takes one, a softplus two: its exp and its log.
        count = shape.elements * (1 + 2 / shape.d_state)
        floor = exponential_floor(count, self.device)
        rows.append(
            Row(
                where,
                'exponential floor / ours',
                None if floor is None else floor / seconds,
                0.5 if gated.large else None,
                note='' if floor else 'the highest clock of the GPU is not known',
            )
        )
        return rows

    def ratio(
        self,
        where: str,
        times: Comparison,
        peers: list[str],
        gate: tuple[float, float | None],
    ) -> Row:
        """How much faster ours is than the fastest peer that there is."""
        best = times.best(peers)
        notes = [times.note()]
        if isinstance(self.mamba, str):
            notes.append(f'{MAMBA} is {self.mamba}')
        return Row(
            where,
            f'{best} / ours',
            None if best is None else times.seconds[best] / times.seconds['ours'],
            *gate,
            details=times.milliseconds(),
            note='; '.join(note for note in notes if note),
            counts=MAMBA in times.seconds or MAMBA not in ''.join(notes),
        )

    def calls(
        self,
        scan: Callable[..., Tensor],
        shape: Shape,
        case: str,
        dtype: torch.dtype = torch.float32,
    ) -> list[Function]:
        """The calls of a scan, on several sets of inputs."""
        first = shape.arguments(dtype)
        sets = num_sets(sum(t.nbytes for t in first.values()))
        functions: list[Function] = []
        for seed in range(1 if self.tiny else sets):
            arguments = first if seed == 0 else shape.arguments(dtype, seed)
            if case == CASES[0]:
                functions.append(_inference(partial(scan, **arguments)))
            else:
                functions.append(train_step(scan, arguments))
        return functions

    def layer(self, case: str) -> list[Row]:
        """Projections, four paths and their sum, of a PoseMamba-S layer."""
        frames, clips = (5, 1) if self.tiny else (FRAMES, CLIPS)
        paths = grid_paths(frames, JOINTS)
        scan: Peer | None = None if isinstance(self.mamba, str) else self.mamba
        peer = MAMBA if scan else 'our scan'
        copied = CopiedPaths(
            scan or partial(selective_scan, delta_softplus=True), frames, JOINTS
        )
        variants: dict[str, Callable[..., Tensor]] = {
            'ours': partial(project_and_scan, paths=paths),
            f'copies around {peer}': copied.project_and_scan,
        }
        (_, copies) = variants
        tensors = layer_arguments(clips, frames * JOINTS)
        functions = {
            name: [layer_call(function, tensors, case)]
            for name, function in variants.items()
        }
        times = compare(functions, self.device, self.seconds)
        times.check('ours')
        where = f'PoseMamba-S layer, {CLIPS} clips, {case}'
        sizes = {
            name: peak_bytes(calls[0], self.device) for name, calls in functions.items()
        }
        return [
            self.ratio(where, times, [copies], LAYER_GATES[case]),
            memory_row(where, sizes, 'ours', copies, 0.3),
        ]

    def samples(self, block: deform.Block, case: str) -> list[Row]:
        """`deform_scan` of one block."""
        if self.tiny:
            block = dataclasses.replace(block, N=1, side=4, E=8)
        variants = dict(deform.VARIANTS)
        arguments = [block.arguments(seed) for seed in range(1 if self.tiny else 3)]
        functions = {
            name: [deform.call(function, of, case) for of in arguments]
            for name, function in variants.items()
        }
        times = compare(functions, self.device, self.seconds)
        times.check('ours')
        where = f'{block}, {case}'
        peer = 'grid_sample, then scan'
        known = peer in times.seconds
        sizes = {
            name: peak_bytes(functions[name][0], self.device) for name in times.seconds
        }
        rows = [
            Row(
                where,
                f'{peer} / ours',
                times.seconds[peer] / times.seconds['ours'] if known else None,
                1.3,
                details=times.milliseconds(),
                note=times.note(),
            )
        ]
        if known:
            rows.append(memory_row(where, sizes, 'ours', peer, 0.5))
        return rows


def project_and_scan(
    x: list[Tensor],
    x_proj: Tensor,
    dt_weight: Tensor,
    A: Tensor,
    D: Tensor,
    dt_bias: Tensor,
    paths: ScanPaths,
) -> Tensor:
    """The layer `CopiedPaths.project_and_scan` as `mmssm.models.layers.S6` goes."""
    R, d_state = dt_weight.shape[-1], A.shape[-1]
    projected = {}
    for source, tokens in enumerate(x):
        readers = [k for k, step in enumerate(paths.steps) if step[1] == source]
        parts = F.linear(tokens, x_proj[readers].flatten(0, 1)).chunk(len(readers), -1)
        projected.update(zip(readers, parts, strict=True))
    joint = torch.stack([projected[k] for k in range(len(paths.steps))], 1)
    dt, B, C = joint.split([R, d_state, d_state], -1)
    return path_scan(x, dt, A, B, C, D, dt_bias, paths, dt_weight=dt_weight)


def layer_arguments(clips: int, length: int) -> dict[str, Any]:
    """Arguments of a layer as it is initialised."""
    generator = torch.Generator(torch.get_default_device()).manual_seed(0)
    K, E = 4, CHANNELS

    def normal(*sizes: int) -> Tensor:
        return torch.randn(*sizes, generator=generator)

    step = torch.rand(K, E, generator=generator) * 0.099 + 0.001
    return dict(
        x=[normal(clips, length, E), normal(clips, length, E)],
        x_proj=normal(K, RANK + 2 * STATES, E) / E**0.5,
        dt_weight=normal(K, E, RANK) / RANK**0.5,
        A=-torch.arange(1.0, STATES + 1).expand(K, E, -1).clone(),
        D=torch.ones(K, E),
        dt_bias=step + torch.log(-torch.expm1(-step)),
    )


def layer_call(
    function: Callable[..., Tensor], tensors: dict[str, Any], case: str
) -> Function:
    """The call of a layer, forward or with all gradients."""
    if case == CASES[0]:
        return _inference(partial(function, **tensors))
    leaves = {k: v.detach().requires_grad_() for k, v in tensors.items() if k != 'x'}
    x = [t.detach().requires_grad_() for t in tensors['x']]
    cotangent = torch.randn(x[0].shape)

    def step() -> object:
        y = function(x, **leaves)
        return torch.autograd.grad(y, [*x, *leaves.values()], cotangent)

    return step


def _inference(function: Function) -> Function:
    return torch.inference_mode()(lambda: function())


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.ops.gpu',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    args = parser.parse_args(argv)
    check_device(parser, args.device)
    device = torch.device(args.device)
    # Figures of the fallback would mislead.
    with backend('native'), torch.device(device):
        results = Results(args.out, 'bench', TITLE, device)
        Benchmark(results, device, args.seconds, args.tiny).run()
        return results.finish()


if __name__ == '__main__':
    sys.exit(main())
