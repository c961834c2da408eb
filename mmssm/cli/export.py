"""Writes a model as an ONNX file and compares it with PyTorch.

    mmssm export posemamba-mocap-27frm --out lifter.onnx      a model by name
    mmssm export CONFIG CHECKPOINT --out model.onnx           or a config file
    mmssm export CONFIG --random-weights --out model.onnx     to look at its speed

The file holds the network alone: pixels are normalised before it, predictions are
decoded behind it. It takes any number of inputs at once. Its metadata names inputs,
outputs, their units and the joints. Printed are its size, the largest difference from
PyTorch and both latencies; a file that differs is not written. onnx, onnxscript and
onnxruntime are needed: pip install -r requirements/export.txt
"""

import argparse
from pathlib import Path

from mmssm.utils.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument('model', help='name of a model (mmssm list), or a config file')
    parser.add_argument(
        'checkpoint', nargs='?', help="its weights (default: the model's own)"
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='the file, .onnx'
    )
    parser.add_argument(
        '--random-weights',
        action='store_true',
        help='weights as before training, of a model that has none',
    )
    parser.add_argument(
        '--input-shape',
        type=int,
        nargs='+',
        metavar='N',
        help='of one input: frames, joints and channels of a clip, or channels, height '
        'and width of an image (default: what the model is for)',
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-4,
        help='largest difference from PyTorch that is let pass (default: 1e-4)',
    )


def main(args: argparse.Namespace) -> int:
    """Writes the file and prints what it is.

    Raises:
        UsageError: Arguments do not fit each other.
        UserError: The model or its weights are not there, or it cannot be exported.
    """
    if args.out.suffix != '.onnx':
        raise UsageError(f'--out must end in .onnx, got {args.out.name}')
    if args.random_weights and args.checkpoint is not None:
        raise UsageError('--random-weights leaves no place for a checkpoint')
    if args.input_shape is not None and min(args.input_shape) < 1:
        raise UsageError(f'--input-shape must be positive, got {args.input_shape}')

    from mmssm.engine.cli import messages_for_users

    with messages_for_users():
        return _export(args)


def _export(args: argparse.Namespace) -> int:
    import torch
    from mmengine.registry import DefaultScope
    from mmpose.registry import MODELS

    import mmssm.registry  # noqa: F401  cures the host before it is used
    from mmssm.apis.catalog import resolve_config, resolve_model
    from mmssm.apis.export import export_onnx
    from mmssm.apis.onnx_ports import joint_names_of_config
    from mmssm.engine import preflight

    weights = None
    if args.random_weights:
        path = resolve_config(args.model)
    else:
        resolved = resolve_model(args.model, args.checkpoint)
        path, weights = resolved.config, resolved.weights
    config = preflight.read_config(str(path))
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose')):
        model = MODELS.build(config.model)
    if weights is not None:
        checkpoint = preflight.read_checkpoint(weights)
        preflight.check_weights(model, checkpoint, weights)
    inputs = None
    if args.input_shape is not None:
        inputs = torch.rand(1, *args.input_shape)
    report = export_onnx(
        model,
        args.out,
        inputs,
        joints=joint_names_of_config(config),
        tolerance=args.tolerance,
    )
    print(report)
    return 0
