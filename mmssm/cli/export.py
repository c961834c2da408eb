"""Writes a model as an ONNX file and holds it against PyTorch in onnxruntime.

    mmssm export posemamba-mocap-27frm posemamba.onnx
    mmssm export hamba-small-synthhand hamba.onnx
    mmssm export CONFIG OUT.onnx --weights CHECKPOINT
    mmssm export CHECKPOINT.safetensors OUT.onnx      a file that describes its model
    mmssm export posemamba-s-h36m OUT.onnx --random-weights --input-shape 81 17 3
    mmssm export posemamba-mocap-causal-27frm OUT.onnx --step

The file holds the network in single precision, for any batch; normalising, decoding
and the mirrored second look stay outside. It appears whole and checked, or not at all;
its size, its differences from PyTorch and both latencies are printed. It needs onnx,
onnxscript and onnxruntime.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mmssm.cli.bench import read_shape
from mmssm.utils.errors import UsageError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        'model',
        help='name of a model (mmssm list), config file, or a checkpoint that '
        'describes its model',
    )
    parser.add_argument('out', type=Path, help='file to write: .onnx')
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        '--weights',
        metavar='FILE',
        help="weights, .pth or .safetensors (default: the model's own)",
    )
    weights.add_argument(
        '--random-weights', action='store_true', help='do without trained weights'
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        '--input-shape',
        type=int,
        nargs='+',
        metavar='N',
        help='height and width of an image, or frames, joints and channels of a clip '
        '(default: what the model is for)',
    )
    size.add_argument(
        '--step',
        action='store_true',
        help='one frame of a causal lifter: its state goes in and comes out',
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=1e-4,
        help='largest difference from PyTorch, in units of the outputs; of those '
        'above 1 as a share of the largest (default: 1e-4)',
    )
    parser.add_argument(
        '--repeats', type=int, default=5, metavar='N', help='timed runs (default: 5)'
    )
    parser.add_argument('--json', action='store_true', help='print JSON')


def main(args: argparse.Namespace) -> int:
    """Writes the file and prints what was measured.

    Raises:
        UsageError: The file's name, a size or a number cannot be.
        UserError: The model is not there, or cannot be exported.
    """
    shape = read_shape(args.input_shape)
    if args.out.suffix != '.onnx':
        raise UsageError(f'the name of an ONNX file ends in .onnx, got {args.out}')
    if args.repeats < 1 or not args.tolerance > 0:
        raise UsageError('--repeats is 1 or more, --tolerance above 0')
    import torch

    from mmssm.apis.export import export_onnx
    from mmssm.engine.cli import messages_for_users

    with messages_for_users():
        model = build(args.model, args.weights, args.random_weights)
        inputs = None if shape is None else torch.rand(1, *shape)
        report = export_onnx(
            model,
            args.out,
            inputs,
            step=args.step,
            tolerance=args.tolerance,
            repeats=args.repeats,
        )
    if args.json:
        print(json.dumps(dataclasses.asdict(report), indent=1, default=str))
    else:
        print(report)
    return 0


def build(name: str, weights: str | None, random_weights: bool) -> 'nn.Module':
    """Builds a model with its weights.

    Args:
        name: Of a model, a config file, or a checkpoint that describes its model.
        weights: A file of weights; None: the model's own.
        random_weights: Whether it does without.

    Raises:
        UserError: Model or weights are not there, or do not fit.
    """
    from mmengine.registry import DefaultScope
    from mmpose.registry import MODELS

    import mmssm.registry  # noqa: F401  cures the host before it is used
    from mmssm.apis import build_from_checkpoint
    from mmssm.apis.catalog import resolve_config, resolve_model
    from mmssm.engine import preflight
    from mmssm.utils.errors import UserError

    if Path(name).suffix in ('.safetensors', '.pth'):
        try:
            return build_from_checkpoint(name)
        except (FileNotFoundError, ValueError) as error:
            raise UserError(str(error)) from error
    file = None
    if random_weights:
        path = resolve_config(name)
    else:
        resolved = resolve_model(name, weights)
        path, file = resolved.config, resolved.weights
    config = preflight.read_config(str(path))
    with DefaultScope.overwrite_default_scope(config.get('default_scope', 'mmpose')):
        model = MODELS.build(config.model)
    if file is not None:
        preflight.check_weights(model, preflight.read_checkpoint(file), file)
    model.dataset_meta = _dataset_meta(config)  # as MMPose's init_model
    return model.eval()


def _dataset_meta(config: 'Config') -> dict | None:
    """What a config's data says of its joints, if it does."""
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.registry import DATASETS

    for loader in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        dataset = config.get(loader, {}).get('dataset', {})
        kind = DATASETS.get(dataset.get('type', ''))
        for meta in (dataset.get('metainfo'), getattr(kind, 'METAINFO', None)):
            if meta and {'from_file', 'keypoint_info'} & set(meta):
                return parse_pose_metainfo(dict(meta))
    return None
