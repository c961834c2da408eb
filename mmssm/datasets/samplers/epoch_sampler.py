"""A sampler that tells the dataset which epoch it is."""

from collections.abc import Iterator

from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import Registry

DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='mmssm',
    locations=['mmssm.datasets.samplers'],
)


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):
    """MMEngine's default sampler with the epoch in the index.

    The stock one gives indices below ``len(dataset)`` in every epoch, and a
    dataset in a worker process cannot ask which epoch it is. This one gives
    ``epoch * len(dataset) + index``, which datasets with
    :class:`~mmssm.datasets.datasets.epoch_seeded.EpochSeededMixin` split again.
    MMEngine's ``DistSamplerSeedHook`` sets the epoch, after resuming too.

    Args: as the stock sampler's.

    Raises:
        TypeError: The dataset would not understand such indices.
    """

    def __init__(
        self,
        dataset,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        if not hasattr(dataset, 'knows_epoch'):
            raise TypeError(
                'EpochSampler needs a dataset that takes indices beyond its '
                f'length (EpochSeededMixin), got {type(dataset).__name__}; use '
                "type='DefaultSampler' for it"
            )
        dataset.knows_epoch = True
        super().__init__(dataset, shuffle=shuffle, seed=seed, round_up=round_up)

    def __iter__(self) -> Iterator[int]:
        """Indices of this process for the current epoch."""
        first = self.epoch * len(self.dataset)
        return (first + index for index in super().__iter__())
