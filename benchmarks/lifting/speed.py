"""How fast lifters are: PoseMamba, SasMamba and MMPose's DSTFormer (MotionBERT).

    python benchmarks/lifting/speed.py --out DIR [--device cuda] [--threads 1]

For each model, in a process of its own: parameters, multiply-accumulates, latency of
one clip, clips per second in batches, one training step (forward, loss, backward,
AdamW) and the memory that inference and training take at most. The results are
written to ``DIR/speed.json`` and ``DIR/speed.md``. ``--config`` measures one config
and prints it as JSON.

The numbers are of networks with random weights on random input, without loading of
data and without the mirrored second pass; one clip is what one forward pass gets.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmpose.registry import MODELS
from torch import Tensor

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.complexity import count
from mmssm.apis.speed import EstimatorNetwork, median_ms

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # where a run by this file's path does not look

from benchmarks._measure import describe_machine  # noqa: E402

FOLDER = 'configs/body_3d_keypoint'
LIFTERS = {
    'PoseMamba-S': f'{FOLDER}/posemamba/h36m/'
    'posemamba_s-243frm_1xb4-120e_h36m-original.py',
    'PoseMamba-B': f'{FOLDER}/posemamba/h36m/'
    'posemamba_b-243frm_1xb4-120e_h36m-original.py',
    'SasMamba': f'{FOLDER}/sasmamba/h36m/sasmamba-243frm_1xb16-150e_h36m-original.py',
    'SasMamba-large': f'{FOLDER}/sasmamba/h36m/'
    'sasmamba_large-243frm_1xb16-150e_h36m-original.py',
    'DSTFormer (MotionBERT)': 'mmpose::body_3d_keypoint/motionbert/h36m/'
    'motionbert_dstformer-243frm_8xb32-240e_h36m.py',
}
MIB = 2**20


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--out', type=Path, help='folder for the results of all')
    what.add_argument('--config', help='measure this config only, print JSON')
    parser.add_argument('--device', default='cpu', help='cpu or cuda')
    parser.add_argument('--batch', type=int, default=4, help='clips in a batch')
    parser.add_argument('--repeats', type=int, default=5, help='timed runs of each')
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count() or 1, help='threads of a CPU'
    )
    parser.add_argument(
        '--frames', type=int, help='frames of a clip (default: what the config is for)'
    )
    args = parser.parse_args(argv)
    for name in ('batch', 'repeats', 'threads'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {args.device}, but PyTorch finds no CUDA device here')
    return args


def load_config(name: str) -> Config:
    """Reads a config file, or one of a package by ``package::path``."""
    return get_config(name) if '::' in name else Config.fromfile(name)


def clip_shape(config: Config, frames: int | None) -> tuple[int, ...]:
    """Shape of one clip as the backbone of a config takes it."""
    backbone = config.model.backbone
    dataset = config.train_dataloader.dataset
    known = backbone.get('num_frames') or backbone.get('seq_len')
    frames = frames or known or dataset.get('seq_len', 1)
    if backbone.type == 'TCN':
        return backbone.in_channels, frames
    return frames, 17, backbone.get('in_channels', 2)


def measure(config: Config, args: argparse.Namespace) -> dict[str, float]:
    """Measures one model on one device.

    Args:
        config: With the model.
        args: Of the command line.

    Returns:
        Counts, milliseconds, clips per second and MiB.
    """
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    torch.manual_seed(0)
    network = EstimatorNetwork(MODELS.build(config.model)).to(device)
    shape = clip_shape(config, args.frames)
    one = torch.rand(1, *shape, device=device)
    many = torch.rand(args.batch, *shape, device=device)
    before = _memory(device)
    network.eval()
    with torch.no_grad():
        latency = median_ms(lambda: network(one), device, args.repeats)
        batch = median_ms(lambda: network(many), device, args.repeats)
    inference = _memory(device) - before
    step = training_step(network.train(), many)
    training = median_ms(step, device, args.repeats)
    training_memory = _memory(device) - before
    # Last, as it runs the network too.
    size = count(network.eval(), one)
    return dict(
        params=size.params,
        macs=size.macs,
        latency_ms=latency,
        clips_per_second=1000 * args.batch / batch,
        training_step_ms=training,
        inference_mib=inference / MIB,
        training_mib=training_memory / MIB,
        batch=args.batch,
        frames=shape[0] if len(shape) == 3 else shape[1],
    )


def training_step(network: EstimatorNetwork, inputs: Tensor) -> Callable[[], None]:
    """One step with the model's own loss towards a random target."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    loss_of = network.estimator.head.loss_module
    loss_of.use_target_weight = False
    with torch.no_grad():
        target = torch.rand_like(network(inputs))

    def step() -> None:
        optimizer.zero_grad()
        loss_of(network(inputs), target).backward()
        optimizer.step()

    return step


def _memory(device: torch.device) -> int:
    """The most memory taken so far, of the device or of this process."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure_apart(config: str, args: argparse.Namespace) -> dict[str, float]:
    """Measures a config in a process of its own.

    Raises:
        RuntimeError: If it fails; with what it said.
    """
    command = [sys.executable, str(Path(__file__).resolve()), '--config', config]
    for name in ('device', 'batch', 'repeats', 'threads', 'frames'):
        if getattr(args, name) is not None:
            command += [f'--{name}', str(getattr(args, name))]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f'measuring {config} failed:\n{done.stderr[-2000:]}')
    return json.loads(done.stdout.splitlines()[-1])


def describe(args: argparse.Namespace) -> dict[str, str]:
    """What the numbers were measured with."""
    context = dict(
        describe_machine('mmpose'),
        timing=f'median of {args.repeats} runs after one',
        batch=f'{args.batch} clips',
        threads=str(args.threads),
    )
    if args.device.startswith('cuda'):
        context['device'] = torch.cuda.get_device_name(args.device)
    return context


def table(results: dict[str, dict[str, float]], context: dict[str, str]) -> str:
    """A Markdown table."""
    lines = [
        '# Speed of lifters',
        '',
        '| model | frames | parameters | MACs | latency, ms | clips/s | training step, '
        'ms | memory, inference / training, MiB |',
        '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ]
    for name, result in results.items():
        cells = [
            name,
            str(result['frames']),
            f'{result["params"]:,}',
            f'{result["macs"] / 1e9:.2f} G',
            f'{result["latency_ms"]:.1f}',
            f'{result["clips_per_second"]:.2f}',
            f'{result["training_step_ms"]:.1f}',
            f'{result["inference_mib"]:.0f} / {result["training_mib"]:.0f}',
        ]
        lines.append(f'| {" | ".join(cells)} |')
    lines += ['', *(f'- {name}: {value}' for name, value in context.items()), '']
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Runs the benchmark."""
    args = parse_args(argv)
    if args.config:
        print(json.dumps(measure(load_config(args.config), args)))
        return
    results = {}
    for name, config in LIFTERS.items():
        results[name] = measure_apart(config, args)
        print(f'{name}: {results[name]["clips_per_second"]:.2f} clips/s', flush=True)
    context = describe(args)
    text = table(results, context)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / 'speed.json').write_text(
        json.dumps(dict(context=context, results=results), indent=1) + '\n'
    )
    (args.out / 'speed.md').write_text(text)
    print('\n' + text)


if __name__ == '__main__':
    main()
