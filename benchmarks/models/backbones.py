r"""How fast backbones are: DF-Mamba and VMamba beside MMPose's and MMPretrain's.

    python benchmarks/models/backbones.py --out DIR [--device cuda] [--compile]

For each network: parameters, multiply-accumulates, the time of inference and of a
training step (forward, backward, AdamW) at three sizes of image and two of batch, and
the memory that both take at most at the largest, beside weights, gradients and the
averages of AdamW. All networks run in one process and take turns, each contiguous and
with its channels last: the shortest time of the faster layout counts. The results are
written to ``DIR/backbones.json`` and ``DIR/backbones.md``; a run that was stopped
goes on from its last finished case.

The gates are for 256 pixels: on a CPU DF-Mamba a has at least 0.8 of ResNet-50's images
a second, on a GPU, in batches of 128, at least 1.07. They alone, in two minutes:

    python benchmarks/models/backbones.py --out DIR --networks DF-Mamba-a ResNet-50 \
        --sizes 256 --modes inference --no-memory

Weights and images are random, every network gives out its last map alone, and there
is no drop path. MMPretrain's networks are left out where it is not installed.
"""

import argparse
import copy
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.complexity import count
from mmssm.ops import backend

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

PEER = 'mmpretrain'
NETWORKS = {
    'DF-Mamba-a': dict(type='mmssm.DFMamba', arch='a', out_indices=(5,)),
    'DF-Mamba-b': dict(type='mmssm.DFMamba', arch='b', out_indices=(5,)),
    'VMamba-T': dict(
        type='mmssm.VMamba', arch='tiny', out_indices=(3,), drop_path_rate=0.0
    ),
    'VMamba-S': dict(
        type='mmssm.VMamba', arch='small', out_indices=(3,), drop_path_rate=0.0
    ),
    'ResNet-50': dict(type='ResNet', depth=50),
    'ResNet-152': dict(type='ResNet', depth=152),
    'ConvNeXt-T': dict(
        type=f'{PEER}.ConvNeXt', arch='tiny', gap_before_final_norm=False
    ),
    'ConvNeXt-S': dict(
        type=f'{PEER}.ConvNeXt', arch='small', gap_before_final_norm=False
    ),
    'Swin-T': dict(
        type=f'{PEER}.SwinTransformer', arch='tiny', drop_path_rate=0.0,
        pad_small_map=True,  # at 128 pixels the last map is smaller than a window
    ),
    'ViT-S': dict(
        type=f'{PEER}.VisionTransformer', arch='deit-small', img_size=224,
        patch_size=16, out_type='featmap', with_cls_token=False,
    ),
}  # fmt: skip
"""Configs by name; an ``img_size`` is replaced by the size of the image."""

GATED, YARDSTICK = 'DF-Mamba-a', 'ResNet-50'
GATE_SIZE, GATE, AIM = 256, 0.8, 1.0
GPU_BATCH, GPU_GATE, GPU_AIM = 128, 1.07, 1.3
LAYOUTS = {
    'contiguous': torch.contiguous_format,
    'channels_last': torch.channels_last,
}
MODES = ('inference', 'training')
MIB = 2**20


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, required=True, help='folder for results')
    parser.add_argument(
        '--networks', nargs='+', choices=NETWORKS, metavar='NAME',
        help=f'of {", ".join(NETWORKS)} (default: all that are installed)',
    )  # fmt: skip
    parser.add_argument('--sizes', nargs='+', type=int, default=[128, 224, 256])
    parser.add_argument(
        '--batches', nargs='+', type=int, help='default: 1 8, on a GPU also 128'
    )
    parser.add_argument('--modes', nargs='+', choices=MODES, default=list(MODES))
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count() or 1, help='threads of a CPU'
    )
    parser.add_argument(
        '--seconds', type=float, default=20.0,
        help='time for each case, if three turns of each network take no longer',
    )  # fmt: skip
    parser.add_argument(
        '--compile', action='store_true',
        help=f'also time {GATED} and {YARDSTICK} with torch.compile at {GATE_SIZE}',
    )  # fmt: skip
    parser.add_argument(
        '--no-memory', dest='memory', action='store_false', help='leave memory out'
    )
    parser.add_argument('--layout', choices=LAYOUTS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.batches = args.batches or [1, 8, *([GPU_BATCH] * (args.device != 'cpu'))]
    for name in ('sizes', 'batches', 'threads'):
        values = getattr(args, name)
        least = min(values) if isinstance(values, list) else values
        if least < 1:
            parser.error(f'--{name} must be at least 1, got {least}')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}, but PyTorch finds no CUDA device here')
    if args.networks is None:
        args.networks = [name for name in NETWORKS if is_installed(name)]
    missing = [name for name in args.networks if not is_installed(name)]
    if missing:
        parser.error(
            f'{", ".join(missing)} need {PEER}, which is not installed; '
            'docs/models/vmamba.md says how it goes beside this project'
        )
    return args


def is_installed(name: str) -> bool:
    """Whether the package of a network is there."""
    if not NETWORKS[name]['type'].startswith(PEER):
        return True
    return find_spec(PEER) is not None


def build(name: str, size: int) -> nn.Module:
    """A network for images of a size, on the default device."""
    config = dict(NETWORKS[name])
    if 'img_size' in config:
        config['img_size'] = size
    return MODELS.build(config)


def sizes_of(name: str, sizes: list[int]) -> dict:
    """Parameters, and multiply-accumulates by size of the image."""
    counts = {}
    for size in sizes:
        # MMPretrain's networks read numbers while they are built: not on 'meta'.
        network = build(name, size).to('meta')
        network.eval()  # which MMPose's backbones return nothing from
        counts[size] = count(network, torch.empty(1, 3, size, size, device='meta'))
    return dict(
        params=counts[sizes[0]].params,
        macs={str(size): counted.macs for size, counted in counts.items()},
    )


def work(
    network: nn.Module, images: Tensor, layout: str, mode: str
) -> Callable[[], None]:
    """What is timed: one inference or one training step.

    Args:
        network: Is put on the device of the images and into the layout.
        images: A batch.
        layout: One of :data:`LAYOUTS`.
        mode: One of :data:`MODES`.

    Returns:
        A function that returns once the device has done it.
    """
    network = network.to(images.device, memory_format=LAYOUTS[layout])
    images = images.contiguous(memory_format=LAYOUTS[layout])
    network.train(mode == 'training')
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)

    def infer() -> None:
        with torch.no_grad():
            network(images)
        wait(images.device)

    def train() -> None:
        optimizer.zero_grad()
        network(images)[-1].square().mean().backward()
        optimizer.step()
        wait(images.device)

    return train if mode == 'training' else infer


def wait(device: torch.device) -> None:
    """Waits for a GPU."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def measure_case(
    names: list[str], mode: str, size: int, batch: int, args: argparse.Namespace
) -> dict:
    """Times networks in turns.

    Returns:
        The case with milliseconds by network and layout, and why a network could
        not be timed.
    """
    images = torch.rand(batch, 3, size, size, device=args.device)
    variants, failed = {}, {}
    for name in names:
        torch.manual_seed(0)
        network = build(name, size)
        try:
            for layout in LAYOUTS:
                run = work(copy.deepcopy(network), images, layout, mode)
                run()
                variants[f'{name} {layout}'] = run
        except RuntimeError as error:  # too little memory, no kernels for the device
            failed[name] = str(error).splitlines()[0]
    best = interleave(variants, args.seconds, rounds=(3, 50))
    times = {
        name: {layout: 1000 * best[f'{name} {layout}'] for layout in LAYOUTS}
        for name in names
        if name not in failed
    }
    return dict(mode=mode, size=size, batch=batch, times=times, failed=failed)


def measure_compiled(case: dict, args: argparse.Namespace) -> dict:
    """Times the networks of the gate compiled, each in its faster layout."""
    images = torch.rand(
        case['batch'], 3, case['size'], case['size'], device=args.device
    )
    variants = {}
    for name in (GATED, YARDSTICK):
        network = torch.compile(build(name, case['size']), dynamic=False)
        layout = faster(case['times'][name])
        variants[name] = work(network, images, layout, case['mode'])
    best = interleave(variants, args.seconds, rounds=(3, 50))
    return {name: 1000 * seconds for name, seconds in best.items()}


def faster(times: dict[str, float]) -> str:
    """The layout that took less time."""
    return min(times, key=times.__getitem__)


def memory_apart(name: str, layout: str, args: argparse.Namespace) -> dict[str, float]:
    """The most memory that a network takes at the largest case, in MiB.

    In a process of its own, which gives freed memory back.

    Raises:
        RuntimeError: If it fails; with what it said.
    """
    command = [
        sys.executable, str(Path(__file__).resolve()), '--out', str(args.out),
        '--networks', name, '--layout', layout, '--device', args.device,
        '--sizes', str(max(args.sizes)), '--batches', str(max(args.batches)),
        '--modes', *args.modes, '--threads', str(args.threads),
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, **MEMORY_ENVIRONMENT, 'PYTHONPATH': search_path()},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f'measuring {name} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def search_path() -> str:
    """Where another process finds this project, and what this one was given."""
    given = os.environ.get('PYTHONPATH')
    return os.pathsep.join([str(REPOSITORY), *([given] if given else [])])


def memory_here(args: argparse.Namespace) -> dict[str, float]:
    """What `memory_apart` asks for, of this process."""
    device = torch.device(args.device)
    (name,), (size,), (batch,) = args.networks, args.sizes, args.batches
    images = torch.rand(batch, 3, size, size, device=device)
    taken = {}
    for mode in args.modes:
        run = work(build(name, size), images, args.layout, mode)
        if device.type == 'cpu':
            taken[mode] = peak_memory(run) / MIB
            continue
        run()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        taken[mode] = (torch.cuda.max_memory_allocated(device) - before) / MIB
    return taken


def gates(cases: list[dict], device: str) -> list[Row]:
    """How DF-Mamba stands beside ResNet-50."""
    rows = []
    for case in cases:
        times = case['times']
        if not is_of_gate(case):
            continue
        where = f'{GATE_SIZE} px, batch {case["batch"]}'
        gate, aim = gate_of(case['batch'], device)
        rows.append(
            Row(
                where,
                f'{GATED} / {YARDSTICK}, images a second',
                min(times[YARDSTICK].values()) / min(times[GATED].values()),
                gate,
                aim,
                details={
                    f'{name} {layout}': milliseconds
                    for name in (GATED, YARDSTICK)
                    for layout, milliseconds in times[name].items()
                },
            )
        )
        compiled = case.get('compiled')
        if compiled:
            value = compiled[YARDSTICK] / compiled[GATED]
            what = 'the same, both with torch.compile'
            rows.append(Row(where, what, value, details=compiled))
    return rows


def gate_of(batch: int, device: str) -> tuple[float | None, float | None]:
    """What is asked of DF-Mamba beside ResNet-50, and what is wished for."""
    if device == 'cpu':
        return GATE, AIM
    return (GPU_GATE, GPU_AIM) if batch == GPU_BATCH else (None, None)


def report(result: dict) -> str:
    """The results as a page of Markdown."""
    lines = ['# Speed of backbones', '']
    if result['gates']:
        rows = [
            Row(**{key: value for key, value in row.items() if key != 'met'})
            for row in result['gates']
        ]
        lines += [table(rows), '']
    lines += networks_table(result['networks'])
    for mode in MODES:
        cases = [case for case in result['cases'] if case['mode'] == mode]
        if cases:
            lines += ['', f'## {mode.capitalize()}', '', *cases_table(cases)]
    lines += ['', *(f'- {name}: {value}' for name, value in result['context'].items())]
    return '\n'.join(lines) + '\n'


def networks_table(networks: dict[str, dict]) -> list[str]:
    """Sizes of the networks, a row for each."""
    sizes = list(next(iter(networks.values()))['macs'])
    heads = ['network', 'parameters', *(f'MACs at {size} px' for size in sizes)]
    heads.append('memory, inference / training, MiB')
    lines = [_cells(heads), _cells(['---'] + ['---:'] * (len(heads) - 1))]
    for name, network in networks.items():
        memory = network.get('memory', {})
        cells = [name, f'{network["params"]:,}']
        cells += [f'{macs / 1e9:.2f} G' for macs in network['macs'].values()]
        cells.append(
            ' / '.join(f'{memory[m]:.0f}' if m in memory else '-' for m in MODES)
        )
        lines.append(_cells(cells))
    return lines


def cases_table(cases: list[dict]) -> list[str]:
    """Milliseconds and images a second, a row for each network."""
    heads = [f'{case["size"]} px x {case["batch"]}' for case in cases]
    lines = [_cells(['network', *heads]), _cells(['---'] + ['---:'] * len(heads))]
    names = dict.fromkeys(
        name for case in cases for name in (*case['times'], *case['failed'])
    )
    for name in names:
        lines.append(_cells([name, *(_time(case, name) for case in cases)]))
    lines += [
        '',
        'Milliseconds a batch and images a second. Most are with channels last; (c): '
        'contiguous was faster.',
    ]
    failed = {
        f'- not measured: {name}, {why}'
        for case in cases
        for name, why in case['failed'].items()
    }
    return [*lines, *([''] if failed else []), *sorted(failed)]


def _time(case: dict, name: str) -> str:
    if name not in case['times']:
        return '-'
    times = case['times'][name]
    layout = faster(times)
    milliseconds = times[layout]
    mark = ' (c)' if layout == 'contiguous' else ''
    a_second = 1000 * case['batch'] / milliseconds
    return f'{milliseconds:.1f} ms, {a_second:.1f}/s{mark}'


def _cells(cells: list[str]) -> str:
    return f'| {" | ".join(cells)} |'


def describe(args: argparse.Namespace) -> dict[str, str]:
    """What the numbers were measured with."""
    peers = [PEER] if any(NETWORKS[n]['type'].startswith(PEER) for n in args.networks) \
        else []  # fmt: skip
    context = dict(
        describe_machine('mmpose', *peers),
        threads=str(args.threads),
        device=args.device,
        timing=f'shortest of at least 3 turns, {args.seconds:g} s a case',
    )
    if args.device.startswith('cuda'):
        context['device'] = torch.cuda.get_device_name(args.device)
    return context


def earlier(path: Path, context: dict[str, str], names: list[str]) -> dict:
    """What an earlier run of the same networks, code and machine has measured."""
    nothing: dict = dict(networks={}, cases=[])
    if not path.exists():
        return nothing
    result = json.loads(path.read_text())
    same = {**result['context'], 'date': ''} == {**context, 'date': ''}
    return result if same and list(result['networks']) == names else nothing


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    # Figures of the fallback would mislead; on a GPU, the ops say what they have.
    with backend('native' if args.device == 'cpu' else 'auto'):
        if args.layout:
            print(json.dumps(memory_here(args)))
            return
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Measures what is not yet measured; writes the results after each case."""
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / 'backbones.json'
    context = describe(args)
    before = earlier(path, context, args.networks)
    cases = {key_of(case): case for case in before['cases']}
    networks = {}
    for name in args.networks:
        known = before['networks'].get(name, {})
        counted = sizes_of(name, args.sizes)
        macs = {**known.get('macs', {}), **counted['macs']}
        macs = dict(sorted(macs.items(), key=lambda item: int(item[0])))
        networks[name] = {**known, **counted, 'macs': macs}

    def write() -> str:
        ordered = [cases[key] for key in sorted(cases)]
        rows = gates(ordered, args.device)
        result = dict(
            context=context,
            networks=networks,
            cases=ordered,
            gates=[dict(dataclasses.asdict(row), met=row.met()) for row in rows],
        )
        # In place at once: a stop while writing must not lose what is there.
        part = path.with_suffix('.part')
        part.write_text(json.dumps(result, indent=1) + '\n')
        part.replace(path)
        text = report(result)
        path.with_suffix('.md').write_text(text)
        return text

    for key in itertools.product(args.modes, args.sizes, args.batches):
        start = time.perf_counter()
        if key not in cases:
            cases[key] = measure_case(args.networks, *key, args)
        if args.compile and is_of_gate(cases[key]) and 'compiled' not in cases[key]:
            cases[key]['compiled'] = measure_compiled(cases[key], args)
        write()
        mode, size, batch = key
        seconds = time.perf_counter() - start
        print(f'{mode}, {size} px x {batch}: {seconds:.0f} s', flush=True)
    largest = cases[args.modes[-1], max(args.sizes), max(args.batches)]
    for name, times in largest['times'].items() if args.memory else ():
        networks[name]['memory'] = memory_apart(name, faster(times), args)
        write()
    print('\n' + write())


def key_of(case: dict) -> tuple[str, int, int]:
    """What tells a case from the others."""
    return case['mode'], case['size'], case['batch']


def is_of_gate(case: dict) -> bool:
    """Whether the gate asks for a case, and both its networks were timed."""
    asked = case['mode'] == 'inference' and case['size'] == GATE_SIZE
    return asked and {GATED, YARDSTICK} <= set(case['times'])


if __name__ == '__main__':
    main()
