"""Counts parameters and multiply-accumulates of a model, scans included.

Works for image models (--input-shape 256 192, as in MMPose) and for lifters
(--input-shape 243 17 2: frames, joints, channels). Beside the real count stands
the one of the profiler that the state-space papers used, which passes over
scans and bare parameters.
"""

import argparse
import sys

import torch
from mmengine.config import DictAction
from mmpose.registry import MODELS
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.apis.catalog import resolve_config
from mmssm.apis.complexity import Complexity, count, profiler_count
from mmssm.apis.speed import EstimatorNetwork
from mmssm.engine import preflight
from mmssm.engine.cli import messages_for_users


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, or name of a model')
    parser.add_argument(
        '--device',
        default='cpu',
        help="device of the model; 'meta' counts without computing anything",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config to override, as key=value, for instance '
        'model.backbone.depth=18',
    )
    parser.add_argument(
        '--input-shape',
        '--shape',
        type=int,
        nargs='+',
        help='side or height and width of an image, or frames, joints and channels '
        "of a clip (default: 256 192, or the clip that a lifter's backbone is for)",
    )
    parser.add_argument(
        '--batch-size', '-b', type=int, default=1, help='number of inputs'
    )
    parser.add_argument(
        '--show-arch-info', '-s', action='store_true', help='print all modules'
    )
    return parser.parse_args()


def input_shape(sizes: list[int] | None, model: nn.Module) -> tuple[int, ...]:
    """Shape of one input.

    Args:
        sizes: What the user asked for.
        model: The pose estimator.

    Returns:
        ``(3, height, width)`` or ``(frames, joints, channels)``.

    Raises:
        ValueError: If there are not one to three sizes.
    """
    if sizes is None:
        backbone = model.backbone
        if hasattr(backbone, 'num_frames') and hasattr(backbone, 'num_joints'):
            return backbone.num_frames, backbone.num_joints, backbone.in_channels
        return 3, 256, 192
    if len(sizes) == 1:
        return 3, sizes[0], sizes[0]
    if len(sizes) == 2:
        return 3, *sizes
    if len(sizes) == 3:
        return tuple(sizes)
    raise ValueError(
        '--input-shape takes one or two sizes of an image, or frames, joints and '
        f'channels of a clip; got {sizes}'
    )


def table(real: Complexity, model: nn.Module, depth: int = 4) -> str:
    """Multiply-accumulates and parameters by module.

    Args:
        real: The counts.
        model: What was counted.
        depth: Modules further down are left out.

    Returns:
        A line per module.
    """
    lines = [f'{"module":50} {"MACs":>12} {"share":>7} {"params":>12}']
    for name, module in model.named_modules():
        macs = real.by_module.get(name, 0)
        if macs and name.count('.') < depth:
            shown = name.removeprefix('estimator').removeprefix('.') or 'model'
            params = sum(parameter.numel() for parameter in module.parameters())
            share = macs / real.macs
            lines.append(f'{shown:50} {macs / 1e6:10.1f} M {share:7.1%} {params:12,}')
    return '\n'.join(lines)


def main() -> None:
    """Runs the command."""
    args = parse_args()
    if args.device.startswith('cuda') and not torch.cuda.is_available():
        sys.exit(
            f'error: --device {args.device}, but PyTorch finds no CUDA device here'
        )
    with messages_for_users():
        config = preflight.read_config(str(resolve_config(args.config)))
    config.merge_from_dict(args.cfg_options)
    with torch.device(args.device):
        model = EstimatorNetwork(MODELS.build(config.model)).eval()
        try:
            shape = (args.batch_size, *input_shape(args.input_shape, model.estimator))
        except ValueError as error:
            sys.exit(f'error: {error}')
        inputs = torch.zeros(shape)
    real = count(model, inputs)
    published = profiler_count(model, inputs)
    line = '=' * 30
    print(table(real, model))
    if args.show_arch_info:
        print(model)
    print(
        f'{line}\n'
        f'Input shape: {shape}\n'
        f'MACs: {real.macs / 1e9:.3f} G (scans: {real.scan_macs / 1e9:.3f} G)\n'
        f'Params: {real.params / 1e6:.3f} M ({real.params:,})\n'
        "Profiler's count, as in the papers: "
        f'{published.macs / 1e9:.3f} G, {published.params / 1e6:.3f} M\n'
        f'{line}\n'
        'MACs are multiply-accumulates of matrix products, convolutions and scans. '
        "The profiler's count leaves out the scans and every bare parameter, and "
        'counts 4 per element of a LayerNorm; use it to read published tables only.'
    )


if __name__ == '__main__':
    main()
