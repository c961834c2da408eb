"""Weights of the authors' lifters, on their way to ours.

PoseMamba and SasMamba share their trunk, so they share names. Every weight of a
file is used exactly once and every shape is checked, or nothing is written; files
are read without running any code that they may hold.
"""

import argparse
import math
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmssm.utils import safe_pickle

from .checkpoint import save_checkpoint

# Official name -> ours, applied in turn.
_RENAMES = [
    (r'^Spatial_patch_to_embedding\.', 'backbone.embed.'),
    (r'^Spatial_pos_embed$', 'backbone.joint_pos'),
    (r'^Temporal_pos_embed$', 'backbone.frame_pos'),
    (r'^Spatial_norm\.', 'backbone.spatial_norm.'),
    (r'^Temporal_norm\.', 'backbone.temporal_norm.'),
    (r'^STEblocks\.', 'backbone.spatial_blocks.'),
    (r'^TTEblocks\.', 'backbone.temporal_blocks.'),
    (r'(\.\d+)\.norm\.', r'\1.norm1.'),
    (r'\.op\.conv2d\.', '.mixer.conv.'),
    (r'\.op\.x_proj_weight$', '.mixer.s6.x_proj'),
    (r'\.op\.dt_projs_weight$', '.mixer.s6.dt_weight'),
    (r'\.op\.dt_projs_bias$', '.mixer.s6.dt_bias'),
    (r'\.op\.A_logs$', '.mixer.s6.A_log'),
    (r'\.op\.Ds$', '.mixer.s6.D'),
    (r'\.op\.', '.mixer.'),
    (r'^head\.0\.', 'head.pre_logits.'),
    (r'^head\.1\.', 'head.fc.'),
]


@dataclass(frozen=True)
class OfficialModel:
    """What differs between the authors' models.

    Attributes:
        name: Name of the model.
        key: Where its checkpoints hold the weights.
        backbone: Gives type and own arguments of our backbone, from the weights.
        loss: Config of the loss that it was trained with.
        renames: Patterns of official names and ours, applied before the common
            ones.
    """

    name: str
    key: str
    backbone: Callable[[Mapping[str, Tensor]], Mapping[str, Any]]
    loss: Mapping[str, Any]
    renames: Sequence[tuple[str, str]] = ()

    def rename(self, name: str) -> str:
        """Our name of an official parameter."""
        for pattern, replacement in (*self.renames, *_RENAMES):
            name = re.sub(pattern, replacement, name)
        return name


class ConversionError(ValueError):
    """The source is not a checkpoint that can be converted."""


def official_weights(checkpoint: Any, key: str) -> dict[str, Tensor]:
    """Takes the weights out of an official checkpoint.

    Args:
        checkpoint: What the file holds.
        key: Where it should hold the weights.

    Returns:
        The tensors, without the prefix ``module.``.

    Raises:
        ConversionError: If there are none, or two have one name.
    """
    weights = checkpoint.get(key) if isinstance(checkpoint, Mapping) else None
    if not isinstance(weights, Mapping) or not weights:
        found = list(checkpoint) if isinstance(checkpoint, Mapping) else checkpoint
        raise ConversionError(
            f'expected a checkpoint with the weights under {key!r}, found '
            f'{type(checkpoint).__name__} {str(found)[:200]}'
        )
    for name, value in weights.items():
        if not isinstance(value, Tensor):
            raise ConversionError(
                f'{key!r} holds a {type(value).__name__} under {name!r}; expected '
                'tensors only'
            )
    stripped = {name.removeprefix('module.'): value for name, value in weights.items()}
    if len(stripped) != len(weights):
        raise ConversionError("some weights are there with and without 'module.'")
    return stripped


def model_config(weights: Mapping[str, Tensor], model: OfficialModel) -> dict:
    """Reads the model's config off the shapes of its official weights.

    Args:
        weights: Official weights by name.
        model: Whose weights they are.

    Returns:
        Config of a ``PoseLifter`` as plain data.

    Raises:
        ConversionError: If a telling weight is missing or has another rank, or
            the skeleton has not the 17 joints of Human3.6M, the only one of the
            official code.
    """

    def shape(name: str, ndim: int) -> torch.Size:
        if name not in weights or weights[name].ndim != ndim:
            found = tuple(weights[name].shape) if name in weights else 'none'
            raise ConversionError(
                f"expected {model.name}'s {name!r} with {ndim} dimensions, found "
                f'{found}'
            )
        return weights[name].shape

    embed_dims, in_channels = shape('Spatial_patch_to_embedding.weight', 2)
    num_joints = shape('Spatial_pos_embed', 3)[1]
    num_frames = shape('Temporal_pos_embed', 3)[1]
    hidden = shape('STEblocks.0.mlp.fc1.weight', 2)[0]
    d_state = shape('STEblocks.0.op.A_logs', 2)[1]
    if num_joints != 17:
        raise ConversionError(
            'expected the 17 joints of Human3.6M, the only number for which there '
            f'is official code, found {num_joints}'
        )
    return {
        'type': 'PoseLifter',
        'backbone': {
            **model.backbone(weights),
            'embed_dims': embed_dims,
            'depth': _count_blocks(weights),
            'num_frames': num_frames,
            'num_joints': num_joints,
            'in_channels': in_channels,
            'd_state': d_state,
            'mlp_ratio': hidden / embed_dims,
        },
        'head': {
            'type': 'mmssm.LiftingHead',
            'in_channels': embed_dims,
            'loss': {'type': 'mmssm.LiftingLoss', **model.loss},
            'decoder': {
                'type': 'MotionBERTLabel',
                'num_keypoints': num_joints,
                'rootrel': True,
            },
        },
        'test_cfg': {'flip_test': True},
    }


def _count_blocks(names: Iterable[str]) -> int:
    matches = [re.match(r'STEblocks\.(\d+)\.', name) for name in names]
    numbers = {int(match[1]) for match in matches if match}
    if numbers != set(range(len(numbers))):
        raise ConversionError(f'the blocks are not numbered from 0: {sorted(numbers)}')
    return len(numbers)


def _official_shape(name: str, shape: torch.Size) -> torch.Size:
    """A_logs and Ds hold their paths one below the other; taps stand in a window."""
    if name.endswith('.mixer.conv.weight') and len(shape) == 2:
        side = math.isqrt(shape[1])
        return torch.Size([shape[0], 1, side, side])
    if name.endswith(('.A_log', '.D')):
        return torch.Size([shape[0] * shape[1], *shape[2:]])
    return shape


def convert_weights(
    weights: Mapping[str, Tensor], config: Mapping[str, Any], model: OfficialModel
) -> dict[str, Tensor]:
    """Renames and reshapes official weights for the model of a config.

    Args:
        weights: Official weights by name.
        config: The model's config.
        model: Whose weights they are.

    Returns:
        Our state dict.

    Raises:
        ConversionError: If a weight is missing, left over or of another shape;
            the message lists all of them.
    """
    # MMPose is imported only where a model is built.
    from mmpose.registry import MODELS

    with torch.device('meta'):
        expected = MODELS.build(dict(config)).state_dict()
    renamed = {model.rename(name): name for name in weights}
    problems = [
        *(
            f'{name} and {renamed[model.rename(name)]} are one weight here'
            for name in weights
            if renamed[model.rename(name)] != name
        ),
        *(f'missing {name}' for name in expected if name not in renamed),
        *(f'left over {renamed[name]}' for name in renamed if name not in expected),
    ]
    converted = {}
    for name in expected:
        if name not in renamed:
            continue
        official, wanted = weights[renamed[name]], expected[name].shape
        if official.shape != _official_shape(name, wanted):
            problems.append(
                f'{renamed[name]} is {tuple(official.shape)}, expected '
                f'{tuple(_official_shape(name, wanted))}'
            )
            continue
        converted[name] = official.reshape(wanted)
    if problems:
        shown = '\n  '.join(problems[:20])
        more = f'\n  and {len(problems) - 20} more' if len(problems) > 20 else ''
        raise ConversionError(
            f'the weights are not those of a {model.name}:\n  {shown}{more}'
        )
    return converted


def convert(source: str | Path, destination: str | Path, model: OfficialModel) -> dict:
    """Converts a file.

    Args:
        source: Official checkpoint.
        destination: Ending in ``.pth`` or ``.safetensors``.
        model: Whose checkpoint it is.

    Returns:
        The model's config.

    Raises:
        FileNotFoundError: If there is no source.
        pickle.UnpicklingError: If the source holds more than data.
        ValueError: If it is damaged or not an official checkpoint of that model.
    """
    checkpoint = safe_pickle.load_checkpoint(source)
    weights = official_weights(checkpoint, model.key)
    config = model_config(weights, model)
    converted = convert_weights(weights, config, model)
    save_checkpoint(
        destination, converted, {'model': config, 'source': Path(source).name}
    )
    return config


def run_command(model: OfficialModel, description: str | None, example: str) -> dict:
    """Runs a converter's command line; stops with a message on a bad file.

    Args:
        model: What is converted.
        description: What the command does.
        example: Name of an official file.

    Returns:
        The config of the converted model.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', help=f"the authors' file, e.g. {example}")
    parser.add_argument('dst', help='file to write, ending in .pth or .safetensors')
    args = parser.parse_args()
    try:
        config = convert(args.src, args.dst, model)
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        sys.exit(f'error: {error}')
    backbone = config['backbone']
    print(
        f'{args.dst}: {model.name} of width {backbone["embed_dims"]}, '
        f'{backbone["depth"]} pairs of blocks, {backbone["num_frames"]} frames, '
        f'{backbone["num_joints"]} joints'
    )
    return config
