"""Checks of a config, its files and its weights before time is spent on them."""

import os
import pickle
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from torch import nn

from mmssm.utils import checkpoint_files
from mmssm.utils.errors import UserError

_SHOWN = 8


def read_config(path: str) -> Config:
    """Reads a config file.

    Raises:
        UserError: The file, or one of its bases, is not there or not valid.
    """
    if not Path(path).is_file():
        raise UserError(f'there is no config file {path}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program: anything may be wrong with it
        kind = type(error).__name__
        raise UserError(f'the config {path} cannot be read: {kind}: {error}') from error


def check_device(config: Config) -> None:
    """Refuses what needs a GPU on a machine where PyTorch sees none.

    Raises:
        UserError: A GPU or mixed precision is asked for and there is no GPU, or
            this process is one too many for the GPUs there are.
    """
    asked = os.environ.get('CUDA_VISIBLE_DEVICES', '')
    if not torch.cuda.is_available() and asked not in ('', '-1'):
        raise UserError(
            f'CUDA_VISIBLE_DEVICES={asked} asks for a GPU, and PyTorch '
            f'{torch.__version__} sees none: unset it to run on the CPU, or install '
            'a CUDA build of PyTorch and a driver'
        )
    count = torch.cuda.device_count()
    local_rank = int(os.environ.get('LOCAL_RANK', 0))
    if torch.cuda.is_available() and local_rank >= count:
        raise UserError(
            f'this is process {local_rank + 1} on a machine with {count} GPU(s): '
            f'start at most {count} processes'
        )
    wrapper = config.get('optim_wrapper') or {}
    name = getattr(wrapper.get('type'), '__name__', wrapper.get('type'))
    if name == 'AmpOptimWrapper' and get_device() == 'cpu':
        raise UserError(
            'mixed precision (--amp, AmpOptimWrapper) needs a GPU, and PyTorch sees '
            'none here: drop --amp'
        )


def check_data_files(config: Config, splits: Sequence[str]) -> None:
    """Checks that the files which the datasets and metrics name are there.

    Args:
        config: The whole config.
        splits: Which of ``'train'``, ``'val'`` and ``'test'`` will run.

    Raises:
        UserError: Files are missing or cut short; all of them are listed.
    """
    found: dict[str, Path] = {}
    for split in splits:
        for section in (f'{split}_dataloader', f'{split}_evaluator'):
            found.update(_files(config.get(section), section))
    faults = [
        f'{key}: {path} {fault}'
        for key, path in found.items()
        if (fault := _fault(path))
    ]
    if faults:
        raise UserError(
            'data files are not usable (docs/datasets has a page for each set):\n    '
            + '\n    '.join(faults)
        )


def _files(node: Any, key: str) -> Iterator[tuple[str, Path]]:
    if isinstance(node, list | tuple):
        for i, item in enumerate(node):
            yield from _files(item, f'{key}.{i}')
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        is_file = isinstance(name, str) and name.endswith('_file')
        if is_file and name != 'from_file' and isinstance(value, str) and value:
            if '://' not in value:
                yield f'{key}.{name}', Path(node.get('data_root') or '') / value
        else:
            yield from _files(value, f'{key}.{name}')


def _fault(path: Path) -> str | None:
    if not path.is_file():
        return f'does not exist (working directory: {Path.cwd()})'
    if path.stat().st_size == 0:
        return 'is empty'
    if path.suffix == '.npz' and not zipfile.is_zipfile(path):
        return f'is cut short or not an .npz file ({path.stat().st_size:,} bytes)'
    return None


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a checkpoint that a user named.

    Raises:
        UserError: It is not there, not whole, not safe or not a checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f'there is no checkpoint {path}')
    try:
        checkpoint = checkpoint_files.read_checkpoint(path)
    except (ValueError, pickle.UnpicklingError) as error:
        raise UserError(str(error)) from error
    if not isinstance(checkpoint, dict):
        raise UserError(
            f'{path} holds a {type(checkpoint).__name__}, not a checkpoint: expected '
            'a dict with the weights under state_dict'
        )
    return checkpoint


def check_weights(model: nn.Module, checkpoint: dict[str, Any], path: Any) -> None:
    """Loads weights into a model, which they must fit key by key.

    MMEngine logs what does not fit and goes on with random weights.

    Args:
        model: The model, wrapped for distributed training or not.
        checkpoint: What :func:`read_checkpoint` returned.
        path: Where it came from, for the message.

    Raises:
        UserError: Keys are missing, left over or of another shape.
    """
    try:
        _load_checkpoint_to_model(
            model, checkpoint, strict=True, revise_keys=[(r'^module\.', '')]
        )
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:] if line.strip()]
        more = len(lines) - _SHOWN
        shown = [_shorten(line) for line in lines[:_SHOWN]]
        if more > 0:
            shown.append(f'... and {more} more')
        raise UserError(
            f'{path} does not fit the model of the config (another size, another '
            'number of joints or frames, another architecture?):\n    '
            + '\n    '.join(shown)
        ) from error


def _shorten(line: str) -> str:
    head, colon, keys = line.partition(': ')
    names = keys.split(', ')
    if colon and len(names) > _SHOWN and head.endswith('state_dict'):
        return f'{head}: {", ".join(names[:_SHOWN])} ... ({len(names)} keys in all)'
    return line
