"""Random numbers that depend on the seed and the progress alone."""

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmssm.registry import HOOKS


def seed_everything(seed: int, *position: int) -> None:
    """Seeds Python, NumPy and PyTorch from a seed and a position.

    Args:
        seed: The seed of the run.
        position: Non-negative integers that say where in the run one is, such
            as rank and epoch. Different positions give independent streams.
    """
    # NumPy takes (7, 0) for (7, 0, 0): the length tells them apart.
    entropy = (seed, len(position), *position)
    words = np.random.SeedSequence(entropy).generate_state(4, np.uint32)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))


def _seed_worker(worker_id: int, seed: int, rank: int, epoch: int) -> None:
    seed_everything(seed, rank, epoch, worker_id)


class _SeededBatches:
    """The batches of an iteration-based loop, each drawn from its own seed."""

    def __init__(self, batches: Iterator, seed: int, rank: int) -> None:
        self._batches = batches
        self._position = (seed, rank)
        self._drawn = 0

    def __iter__(self) -> '_SeededBatches':
        return self

    def __next__(self) -> Any:
        seed_everything(*self._position, self._drawn)
        self._drawn += 1
        return next(self._batches)


@HOOKS.register_module()
class ReseedHook(Hook):
    """Makes a resumed run draw the random numbers of an uninterrupted one.

    MMEngine seeds once, when a run starts. What is drawn later depends on all
    that was drawn before, validation included, and none of it is in the
    checkpoint. This hook seeds Python, NumPy and PyTorch anew, from the run's
    seed, the rank and the progress: at the start of each epoch, in an
    iteration-based loop before each batch. So nothing has to be stored, and a
    run that goes on from a checkpoint meets the same dropout masks and
    augmentations.

    The workers of the data loader are seeded by epoch too. MMEngine seeds them
    alike at every start, so that all epochs repeat one set of augmentations,
    unless they persist, in which case their state is lost with the process.
    Workers are therefore started anew for every epoch. In an iteration-based
    loop they run through, and MMEngine replays their batches on resuming.
    """

    priority = 'LOWEST'

    def before_train_epoch(self, runner: Runner) -> None:
        """Seeds this process and the workers that will load the epoch."""
        loop, rank = runner.train_loop, get_rank()
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = _SeededBatches(
                loop.dataloader_iterator, runner.seed, rank
            )
            return
        seed_everything(runner.seed, rank, runner.epoch)
        loader = loop.dataloader
        if loader.num_workers > 0:
            loader.worker_init_fn = partial(
                _seed_worker, seed=runner.seed, rank=rank, epoch=runner.epoch
            )
            loader._iterator = None
