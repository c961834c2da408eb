"""MMEngine 0.10 cannot read its own checkpoints with PyTorch 2.6 and later."""

from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmssm.utils import safe_pickle
from mmssm.utils.checkpoint_files import read_checkpoint


def pickle_history_without_functions() -> None:
    """Keeps the function table out of a pickled ``HistoryBuffer``.

    ``HistoryBuffer`` pickles ``HistoryBuffer.min`` and its siblings with each
    buffer, as calls of ``builtins.getattr``, which no safe reader can allow.
    The table belongs to the class and is there again when a buffer is read.

    Link: https://github.com/open-mmlab/mmengine/issues/1655
    Delete when: ``HistoryBuffer.__getstate__`` returns data only.
    """

    def __getstate__(self: HistoryBuffer) -> dict:
        state = self.__dict__.copy()
        state.pop('statistics_methods', None)
        return state

    HistoryBuffer.__getstate__ = __getstate__


def load_old_checkpoints_safely() -> None:
    """Makes MMEngine read its checkpoints, old ones too, running nothing.

    ``torch.load`` refuses the logs and NumPy values that MMEngine's
    checkpoints hold, so that testing, resuming and all of MMPose's released
    weights fail; a checkpoint given as a URL, on the other hand, is unpickled
    without any restriction. Both now go through
    :func:`mmssm.utils.checkpoint_files.read_checkpoint`. The text under
    ``meta.config`` is dropped: MMEngine never writes it, and
    ``Runner.resume`` would execute it.

    Link: https://github.com/open-mmlab/mmengine/issues/1655
    Delete when: MMEngine loads its checkpoints with ``weights_only=True``.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    mmengine_checkpoint.load_url = load_url


def load_from_local(filename: str, map_location: Any) -> Any:
    """Reads a checkpoint file; replaces the function of the same name."""
    from os.path import expanduser, isfile

    filename = expanduser(filename)
    if not isfile(filename):
        raise FileNotFoundError(f'{filename} can not be found.')
    return _without_config_text(read_checkpoint(filename, map_location))


def load_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
) -> Any:
    """Downloads and reads a checkpoint; replaces the function of the same name."""
    with safe_pickle.torch_rules():
        data = torch.hub.load_state_dict_from_url(
            url,
            model_dir=model_dir,
            map_location=map_location,
            progress=progress,
            check_hash=check_hash,
            file_name=file_name,
            weights_only=True,
        )
    return _without_config_text(safe_pickle.finish(data))


def _without_config_text(checkpoint: Any) -> Any:
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
    return checkpoint
