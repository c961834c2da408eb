"""Mixtures of data sets by weight."""

from collections.abc import Callable, Sequence
from typing import Any

from mmpose.datasets import CombinedDataset

from mmssm.registry import DATASETS


@DATASETS.register_module()
class WeightedCombinedDataset(CombinedDataset):
    """MMPose's ``CombinedDataset`` with the parts' weights instead of factors.

    What ``CombinedDataset`` cannot do: its ``sample_ratio_factor`` multiplies the
    sizes of the parts, so the share of each depends on how many samples it has,
    which filters and partial copies change. Here the shares are given, and the
    factors follow from the sizes found. A part that gives more samples than it has
    repeats some at random, one that gives fewer draws them at random.

    Args:
        metainfo: Of the whole, as for ``CombinedDataset``.
        datasets: Configs of the parts.
        weights: Share of each part; they are divided by their sum.
        num_samples: Samples of an epoch.
        pipeline: As for ``CombinedDataset``.
        **kwargs: As for ``CombinedDataset``.

    Raises:
        ValueError: There is not one weight for each part, a weight is negative or
            all are 0, or ``num_samples`` is below 1.
    """

    def __init__(
        self,
        metainfo: dict,
        datasets: list,
        weights: Sequence[float],
        num_samples: int,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        if len(weights) != len(datasets):
            raise ValueError(
                f'expected a weight for each of {len(datasets)} datasets, got '
                f'{len(weights)}'
            )
        if min(weights) < 0 or not sum(weights) > 0 or num_samples < 1:
            raise ValueError(
                'expected weights that are not negative nor all 0, and num_samples of '
                f'1 or more, got {list(weights)} and {num_samples}'
            )
        super().__init__(
            metainfo=metainfo,
            datasets=datasets,
            pipeline=list(pipeline),
            sample_ratio_factor=[1.0] * len(datasets),
            **kwargs,
        )
        whole = sum(weights)
        self._lens = [round(num_samples * weight / whole) for weight in weights]
        self._len = sum(self._lens)
