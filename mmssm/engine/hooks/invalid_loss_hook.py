"""Stops training at the first loss that is not a number."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmssm.registry import HOOKS
from mmssm.utils.errors import UserError


class InvalidLossError(UserError, FloatingPointError):
    """A loss is NaN or infinite."""


def to_plain(data: Any) -> Any:
    """Turns a batch into what ``torch.load(weights_only=True)`` reads.

    Tensors stay, numeric arrays become tensors, data samples and mappings
    become dicts, other sequences lists; what remains is described by its text.
    """
    if isinstance(data, torch.Tensor):
        return data.detach().cpu()
    if data is None or isinstance(data, bool | int | float | str):
        return data
    if isinstance(data, np.generic):
        return data.item()
    if isinstance(data, np.ndarray):
        return (
            torch.from_numpy(data.copy())
            if data.dtype.kind in 'biuf'
            else (to_plain(data.tolist()))
        )
    if isinstance(data, BaseDataElement):
        return {key: to_plain(value) for key, value in data.all_items()}
    if isinstance(data, Mapping):
        return {str(key): to_plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple | set):
        return [to_plain(item) for item in data]
    return repr(data)


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Stops training at a loss that is NaN or infinite, and keeps the batch.

    MMEngine goes on, and soon every checkpoint it keeps is full of NaN. This
    hook looks at every loss (MMEngine copies them to the CPU at each iteration
    anyway), writes the batch beside the checkpoints as
    ``invalid_loss_iter_<n>_rank_<r>.pth``, a file of tensors and plain data
    for ``torch.load(weights_only=True)``, and raises before the next
    checkpoint is due. The weights in memory are already spoilt then; the last
    checkpoint on the disk is not.
    """

    priority = 'VERY_HIGH'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Checks the losses of one iteration.

        Raises:
            InvalidLossError: One of them is not finite.
        """
        losses = {
            key: float(torch.as_tensor(value).detach())
            for key, value in (outputs or {}).items()
            if 'loss' in key
        }
        bad = {key: value for key, value in losses.items() if not math.isfinite(value)}
        if not bad:
            return
        rank = get_rank()
        name = f'invalid_loss_iter_{runner.iter + 1}_rank_{rank}.pth'
        path = Path(runner.work_dir) / name
        record = {
            'iter': runner.iter + 1,
            'epoch': runner.epoch + 1,
            'rank': rank,
            'losses': losses,
            'batch': to_plain(data_batch),
        }
        torch.save(record, path)
        raise InvalidLossError(
            f'{", ".join(f"{key} is {value}" for key, value in bad.items())} at '
            f'iteration {runner.iter + 1} of epoch {runner.epoch + 1}. Training '
            f'stopped; the batch is in {path}. Look for bad input there, or lower '
            'the learning rate or clip gradients, then continue with --resume'
        )
