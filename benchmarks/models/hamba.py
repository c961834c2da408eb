r"""What Hamba's head costs, beside graph convolutions with attention.

    python benchmarks/models/hamba.py --out DIR [--device cuda]

As the paper's Table S2, for the head as published and for its variant of Table S1
whose blocks mix tokens by attention: tokens, parameters and multiply-accumulates of
joints regressor and decoder, their times at each size of batch and the memory that
inference takes beside the weights. The heads take turns; the shortest time counts.
The results are written to ``DIR/hamba.json`` and ``DIR/hamba.md``.

The gate is on a CPU: joints regressor and decoder take less than 200 ms for a crop,
and at most twice the time of their dense layers alone (linear layers, 1 x 1
convolutions, the projections before the scans, the products of the graph
convolutions), at each size of batch. What a scan multiplies inside does not count as
dense. Weights and features are random; the hand model is the free hand.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.complexity import count
from mmssm.models.heads.hamba_head import ARCHITECTURES, HambaHead
from mmssm.models.layers import S6, NodeGraphConv
from mmssm.ops import backend
from mmssm.structures.hand import NUM_JOINTS

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks._measure import (  # noqa: E402
    MEMORY_ENVIRONMENT,
    Row,
    describe_machine,
    interleave,
    peak_memory,
    table,
)

HEADS = {
    'GCN + attention': dict(mixer='attention'),
    'GCN + scan': dict(mixer='scan'),
}
"""What the heads set apart from the published one's defaults."""

GATED = 'GCN + scan'
CHANNELS, ROWS, COLUMNS = 1280, 16, 12
GATE_MS, AIM_MS = 200.0, 120.0
GATE_RATIO, AIM_RATIO = 2.0, 1.5
PARTS = ('joints regressor', 'decoder', 'both', 'dense layers', 'head')
MIB = 2**20


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for results')
    parser.add_argument('--arch', choices=ARCHITECTURES, default='base')
    parser.add_argument('--batches', nargs='+', type=int, default=[1, 8])
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count() or 1, help='threads of a CPU'
    )
    parser.add_argument(
        '--seconds', type=float, default=30.0, help='time for each size of batch'
    )
    parser.add_argument(
        '--no-memory', dest='memory', action='store_false', help='leave memory out'
    )
    parser.add_argument('--memory-of', choices=HEADS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    for name, least in (('batches', min(args.batches)), ('threads', args.threads)):
        if least < 1:
            parser.error(f'--{name} must be at least 1, got {least}')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}, but PyTorch finds no CUDA device here')
    return args


def build(name: str, arch: str) -> HambaHead:
    """A head by its name, on the default device."""
    config = dict(type='mmssm.HambaHead', in_channels=CHANNELS, arch=arch)
    return MODELS.build(config | HEADS[name]).eval()


class Parts(nn.Module):
    """Joints regressor and decoder of a head, as far as they make parameters.

    Args:
        head: The head.
    """

    def __init__(self, head: HambaHead) -> None:
        super().__init__()
        self.joints_regressor = head.joints_regressor
        self.decoder = head.decoder
        self.regressor = head.regressor
        self.channels = head.reducer[-1].out_channels

    def features(self, batch: int) -> Tensor:
        """A random input of `first`."""
        return torch.randn(batch, self.channels, ROWS, COLUMNS)

    def first(self, x: Tensor) -> tuple[Tensor, ...]:
        """The joints regressor on features ``(N, C, rows, columns)``."""
        return self.joints_regressor(x)

    def second(self, x: Tensor) -> tuple[Tensor, ...]:
        """The decoder on as many tokens as there are, taken out of features."""
        tokens = x.flatten(2)[:, :, : NUM_JOINTS + 1].mT
        decoded = self.decoder(tokens).mean(1)
        rest = x.new_zeros(len(x), self.regressor.pose.in_features - self.channels)
        return self.regressor(torch.cat([decoded, rest], 1))

    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Both."""
        return self.first(x), self.second(x)


def dense_layers(parts: Parts, x: Tensor) -> Callable[[], None]:
    """The dense layers of a forward pass alone.

    Args:
        parts: What is run once, to see which layers get which shapes.
        x: Its input.

    Returns:
        A function that calls each on random features of those shapes.
    """
    calls: list[tuple[Callable[[Tensor], Tensor], Tensor]] = []

    def keep(module: nn.Module, inputs: tuple) -> None:
        # An S6 gets a list of sources, all else a tensor.
        features = inputs[0][0] if isinstance(module, S6) else inputs[0]
        calls.append((_product(module), torch.randn_like(features)))

    handles = [
        module.register_forward_pre_hook(keep)
        for module in parts.modules()
        if isinstance(module, nn.Linear | S6 | NodeGraphConv)
    ]
    with torch.no_grad():
        parts(x)
    for handle in handles:
        handle.remove()

    def run() -> None:
        for product, features in calls:
            product(features)

    return run


def _product(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """The matrix product of a layer."""
    if isinstance(module, S6):
        weight = module.x_proj.flatten(0, 1)
        return lambda x: F.linear(x, weight)
    if isinstance(module, NodeGraphConv):
        return lambda x: torch.matmul(x.transpose(0, 1), module.weight)
    return module


def sizes_of(name: str, arch: str) -> dict[str, int]:
    """Tokens, parameters and multiply-accumulates of a head's parts."""
    with torch.device('meta'):
        head = build(name, arch)
        parts = Parts(head)
        counted = count(parts, parts.features(1)).by_module
    decoder = [head.decoder, head.regressor]
    return dict(
        tokens=NUM_JOINTS + 1,
        regressor_params=_size(head.joints_regressor),
        decoder_params=sum(_size(part) for part in decoder),
        head_params=_size(head),
        regressor_macs=counted['joints_regressor'],
        decoder_macs=counted['decoder'] + counted['regressor'],
    )


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def measure_batch(batch: int, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Times the parts of all heads in turns.

    Returns:
        Milliseconds by head and part.
    """
    variants = {}
    with torch.device(args.device):
        maps = torch.randn(batch, CHANNELS, ROWS, COLUMNS)
        for name in HEADS:
            torch.manual_seed(0)
            head = build(name, args.arch)
            parts = Parts(head)
            x = parts.features(batch)
            functions = dict(
                zip(
                    PARTS,
                    (
                        _bound(parts.first, x),
                        _bound(parts.second, x),
                        _bound(parts, x),
                        dense_layers(parts, x),
                        _bound(head, (maps,)),
                    ),
                    strict=True,
                )
            )
            for part, function in functions.items():
                variants[name, part] = _timed(function, args.device)
    best = interleave(variants, args.seconds, rounds=(3, 50))
    return {name: {part: 1000 * best[name, part] for part in PARTS} for name in HEADS}


def _bound(function: Callable, argument: object) -> Callable[[], object]:
    return lambda: function(argument)


def _timed(function: Callable[[], object], device: str) -> Callable[[], None]:
    def run() -> None:
        with torch.no_grad():
            function()
        if device != 'cpu':
            torch.cuda.synchronize(device)

    return run


def memory_apart(name: str, args: argparse.Namespace) -> float:
    """The most memory that a head takes at the largest batch, in MiB.

    In a process of its own, which gives freed memory back.

    Raises:
        RuntimeError: If it fails; with what it said.
    """
    given = os.environ.get('PYTHONPATH')
    search_path = os.pathsep.join([str(REPOSITORY), *([given] if given else [])])
    done = subprocess.run(
        [
            sys.executable, str(Path(__file__).resolve()), '--out', str(args.out),
            '--memory-of', name, '--arch', args.arch, '--device', args.device,
            '--batches', str(max(args.batches)), '--threads', str(args.threads),
        ],
        cwd=REPOSITORY,
        env={**os.environ, **MEMORY_ENVIRONMENT, 'PYTHONPATH': search_path},
        capture_output=True,
        text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f'measuring {name} failed:\n{done.stderr[-2000:]}')
    return float(done.stdout.splitlines()[-1])


def memory_here(args: argparse.Namespace) -> float:
    """What `memory_apart` asks for, of this process."""
    with torch.device(args.device):
        head = build(args.memory_of, args.arch)
        maps = torch.randn(args.batches[0], CHANNELS, ROWS, COLUMNS)
    run = _timed(_bound(head, (maps,)), args.device)
    if args.device == 'cpu':
        return peak_memory(run) / MIB
    run()
    before = torch.cuda.memory_allocated(args.device)
    torch.cuda.reset_peak_memory_stats(args.device)
    run()
    return (torch.cuda.max_memory_allocated(args.device) - before) / MIB


def gates(cases: dict[int, dict[str, dict[str, float]]], on_cpu: bool) -> list[Row]:
    """How the published head stands."""
    rows = []
    for batch, heads in cases.items():
        times = heads[GATED]
        where = f'batch {batch}'
        if batch == 1:
            rows.append(
                Row(
                    where,
                    'joints regressor and decoder',
                    times['both'],
                    GATE_MS if on_cpu else None,
                    AIM_MS if on_cpu else None,
                    at_least=False,
                    unit=' ms',
                )
            )
        rows.append(
            Row(
                where,
                'the same / dense layers alone',
                times['both'] / times['dense layers'],
                GATE_RATIO if on_cpu else None,
                AIM_RATIO if on_cpu else None,
                at_least=False,
                details={part: times[part] for part in ('both', 'dense layers')},
            )
        )
    return rows


def report(result: dict) -> str:
    """The results as a page of Markdown."""
    rows = [
        Row(**{key: value for key, value in row.items() if key != 'met'})
        for row in result['gates']
    ]
    lines = ["# Cost of Hamba's head", '', table(rows), '']
    heads = [
        'blocks', 'tokens', 'regressor', 'decoder', 'regressor, MACs',
        'decoder, MACs', 'memory, MiB',
    ]  # fmt: skip
    lines += _table_head(heads)
    for name, head in result['heads'].items():
        memory = head.get('memory')
        cells = [
            name,
            str(head['tokens']),
            f'{head["regressor_params"] / 1e6:.2f} M',
            f'{head["decoder_params"] / 1e6:.2f} M',
            f'{head["regressor_macs"] / 1e9:.2f} G',
            f'{head["decoder_macs"] / 1e6:.0f} M',
            '-' if memory is None else f'{memory:.0f}',
        ]
        lines.append(_cells(cells))
    for batch, times in result['cases'].items():
        lines += ['', f'Milliseconds, batch of {batch}:', '']
        lines += _table_head(['blocks', *PARTS])
        for name, of_parts in times.items():
            lines.append(_cells([name, *(f'{ms:.1f}' for ms in of_parts.values())]))
    lines += ['', *(f'- {name}: {value}' for name, value in result['context'].items())]
    return '\n'.join(lines) + '\n'


def _table_head(cells: list[str]) -> list[str]:
    return [_cells(cells), _cells(['---'] + ['---:'] * (len(cells) - 1))]


def _cells(cells: list[str]) -> str:
    return f'| {" | ".join(cells)} |'


def measure(args: argparse.Namespace) -> str:
    """Measures all and writes the results.

    Returns:
        The page.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    on_cpu = args.device == 'cpu'
    heads: dict[str, dict] = {name: sizes_of(name, args.arch) for name in HEADS}
    cases = {batch: measure_batch(batch, args) for batch in args.batches}
    if args.memory:
        for name in HEADS:
            heads[name]['memory'] = memory_apart(name, args)
    rows = gates(cases, on_cpu and args.arch == 'base')
    result = dict(
        context=dict(
            describe_machine('mmpose'),
            device=args.device if on_cpu else torch.cuda.get_device_name(args.device),
            threads=str(args.threads),
            arch=args.arch,
            timing=f'shortest of at least 3 turns, {args.seconds:g} s a batch size',
        ),
        heads=heads,
        cases=cases,
        gates=[dict(dataclasses.asdict(row), met=row.met()) for row in rows],
    )
    (args.out / 'hamba.json').write_text(json.dumps(result, indent=1) + '\n')
    text = report(result)
    (args.out / 'hamba.md').write_text(text)
    return text


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    # Figures of the fallback would mislead; on a GPU, the ops say what they have.
    with backend('native' if args.device == 'cpu' else 'auto'):
        if args.memory_of:
            print(memory_here(args))
            return
        print(measure(args))


if __name__ == '__main__':
    main()
