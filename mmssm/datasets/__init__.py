"""Datasets of lifting clips: the embedded motion and Human3.6M."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.datasets.datasets import Human36mDataset, MocapDataset
from mmssm.datasets.samplers import EpochSampler
from mmssm.datasets.transforms import DetectorNoise

__all__ = ['DetectorNoise', 'EpochSampler', 'Human36mDataset', 'MocapDataset']
