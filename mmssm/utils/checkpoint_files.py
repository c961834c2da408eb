"""Checkpoints of either kind as MMEngine's dict, read without running anything."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from . import safe_pickle


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = 'cpu') -> Any:
    """Reads a checkpoint file.

    Args:
        path: A safetensors file where the name ends in ``.safetensors``, else one
            written by ``torch.save``.
        map_location: As for :func:`torch.load`; tensors of a safetensors file go
            to the CPU unless it names a device.

    Returns:
        What was saved; of a safetensors file a dict of the tensors,
        ``state_dict``, and of the plain data beside them, ``meta`` (None where the
        file has none).

    Raises:
        pickle.UnpicklingError: The file asks for something that is not data.
        ValueError: The file is damaged or cut short.
        FileNotFoundError: There is no such file.
    """
    if Path(path).suffix == '.safetensors':
        return _read_safetensors(Path(path), map_location)
    return safe_pickle.load_checkpoint(path, map_location)


def _read_safetensors(path: Path, map_location: Any) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {path}')
    # a function or a table says where tensors of a certain device go
    named = map_location is not None and not (
        callable(map_location) or isinstance(map_location, dict)
    )
    device = str(map_location) if named else 'cpu'
    try:
        with safe_open(path, framework='pt', device=device) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return {'state_dict': tensors, 'meta': json.loads(metadata.get('meta', 'null'))}
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f'{path} is not a whole safetensors file: {error}') from error
