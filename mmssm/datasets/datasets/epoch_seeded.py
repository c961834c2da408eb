"""Datasets whose random numbers depend on seed, epoch and sample alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def numpy_seeded(*key: int) -> Iterator[None]:
    """Seeds NumPy's global generator for a block, then restores its state."""
    state = np.random.get_state()
    np.random.seed(key)
    try:
        yield
    finally:
        np.random.set_state(state)


class EpochSeededMixin:
    """Makes every sample a function of (seed, epoch, index).

    MMEngine's datasets draw from the global generator of whichever worker
    happens to serve a sample: another number of workers, or a resumed run,
    gives other data. Here the pipeline runs under a generator seeded for the
    sample, so its random transforms repeat exactly (those that use NumPy's
    generator, as MMPose's and MMCV's do).

    The epoch comes with the index: sample ``i`` of epoch ``e`` is
    ``dataset[e * len(dataset) + i]``, which is what
    :class:`mmssm.EpochSampler` asks for. Under any other sampler a training
    set cannot know the epoch and draws from the global generator as the stock
    ones do. In ``test_mode`` every epoch is the same, whatever the sampler.

    It goes before a dataset class that has ``prepare_data`` and
    ``get_data_info``, and needs the attributes ``seed`` and ``test_mode``.
    """

    seed: int
    test_mode: bool
    knows_epoch = False
    """Set by the sampler that puts the epoch into the indices."""

    def split_index(self, idx: int) -> tuple[int, int]:
        """Epoch and index within it of a sample's number."""
        return divmod(idx, len(self))  # type: ignore[arg-type]

    def sample_seed(self, idx: int) -> tuple[int, int]:
        """Seed of a sample: fixed if the epoch is known, else drawn."""
        if self.test_mode:
            return self.seed, self.split_index(idx)[1]
        if self.knows_epoch:
            return self.seed, idx if idx >= 0 else idx + len(self)  # type: ignore
        return self.seed, int(np.random.randint(2**31))

    def prepare_data(self, idx: int) -> Any:
        """Runs the pipeline on a sample under the sample's own seed."""
        with numpy_seeded(*self.sample_seed(idx)):
            return super().prepare_data(idx)  # type: ignore[misc]

    def get_data_info(self, idx: int) -> dict:
        """Data of a sample before the pipeline; the epoch does not matter."""
        return super().get_data_info(self.split_index(idx)[1])  # type: ignore[misc]

    def __iter__(self) -> Iterator[Any]:
        """The samples of one epoch; indices alone would never end."""
        return (self[i] for i in range(len(self)))  # type: ignore
