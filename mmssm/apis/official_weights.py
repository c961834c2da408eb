"""The authors' weights on their way to ours.

Every weight of a file is used exactly once, but for those that a model leaves out by
name, and every shape is checked, or nothing is written; files are read without
running any code that they may hold.
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
from mmengine.logging import print_log
from torch import Tensor

from mmssm.utils import safe_pickle

from .checkpoint import save_checkpoint

BLOCK_RENAMES = [
    (r'(\.\d+)\.norm\.', r'\1.norm1.'),
    (r'\.op\.conv2d\.', '.mixer.conv.'),
    (r'\.op\.x_proj_weight$', '.mixer.s6.x_proj'),
    (r'\.op\.dt_projs_weight$', '.mixer.s6.dt_weight'),
    (r'\.op\.dt_projs_bias$', '.mixer.s6.dt_bias'),
    (r'\.op\.A_logs$', '.mixer.s6.A_log'),
    (r'\.op\.Ds$', '.mixer.s6.D'),
    (r'\.op\.', '.mixer.'),
]
"""Patterns of names inside a block of VMamba and its kin, and what stands for them."""


@dataclass(frozen=True)
class OfficialModel:
    """What differs between the authors' models.

    Attributes:
        name: Name of the model.
        key: Where its checkpoints hold the weights.
        config: Reads the config of our model off the weights, as plain data.
        describe: Says in a few words what model a config is of.
        renames: Patterns of official names and ours, applied in turn.
        left_out: Names of weights that our model has no place for.
        prepare: What to make of a file's weights before all else; default nothing.
    """

    name: str
    key: str
    config: Callable[[Mapping[str, Tensor]], dict]
    describe: Callable[[Mapping[str, Any]], str]
    renames: Sequence[tuple[str, str]]
    left_out: Sequence[str] = ()
    prepare: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = dict

    def rename(self, name: str) -> str:
        """Our name of an official parameter."""
        for pattern, replacement in self.renames:
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


def shape_of(
    weights: Mapping[str, Tensor], name: str, ndim: int, model_name: str
) -> torch.Size:
    """The shape of a weight that tells something about its model.

    Raises:
        ConversionError: If the weight is missing or has another rank.
    """
    if name not in weights or weights[name].ndim != ndim:
        found = tuple(weights[name].shape) if name in weights else 'none'
        raise ConversionError(
            f"expected {model_name}'s {name!r} with {ndim} dimensions, found {found}"
        )
    return weights[name].shape


def count_blocks(names: Iterable[str], prefix: str) -> int:
    """How many blocks there are by the name ``prefix.number.…``.

    Raises:
        ConversionError: If a number is left out.
    """
    matches = [re.match(re.escape(prefix) + r'\.(\d+)\.', name) for name in names]
    numbers = {int(match[1]) for match in matches if match}
    if numbers != set(range(len(numbers))):
        raise ConversionError(
            f'the blocks {prefix!r} are not numbered from 0: {sorted(numbers)}'
        )
    return len(numbers)


def model_config(weights: Mapping[str, Tensor], model: OfficialModel) -> dict:
    """Reads the model's config off the shapes of its official weights.

    Args:
        weights: Official weights by name.
        model: Whose weights they are.

    Returns:
        The config as plain data.

    Raises:
        ConversionError: If a telling weight is missing or has another rank, or
            tells of a model that there is no official code for.
    """
    return model.config(weights)


def _official_shape(name: str, shape: torch.Size) -> torch.Size:
    """A_logs and Ds hold their paths one below the other; taps stand in a window."""
    if name.endswith('.mixer.conv.weight') and len(shape) == 2:
        side = math.isqrt(shape[1])
        return torch.Size([shape[0], 1, side, side])
    if name.endswith(('.A_log', '.D')):
        return torch.Size([shape[0] * shape[1], *shape[2:]])
    return shape


def _fits(official: torch.Size, wanted: torch.Size) -> bool:
    # Some checkpoints hold linear layers as convolutions of one pixel.
    is_linear = len(wanted) == 2 and len(official) == 4
    return official == wanted or (is_linear and official == (*wanted, 1, 1))


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
    used = [name for name in weights if name not in model.left_out]
    renamed = {model.rename(name): name for name in used}
    problems = [
        *(
            f'{name} and {renamed[model.rename(name)]} are one weight here'
            for name in used
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
        if not _fits(official.shape, _official_shape(name, wanted)):
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
    weights = model.prepare(official_weights(checkpoint, model.key))
    config = model_config(weights, model)
    converted = convert_weights(weights, config, model)
    left_out = [name for name in weights if name in model.left_out]
    if left_out:
        print_log(f'left out, as {model.name} here has none: {", ".join(left_out)}')
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
    print(f'{args.dst}: {model.name} {model.describe(config)}')
    return config
