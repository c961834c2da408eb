from mmssm.datasets.datasets import Human36mDataset, MocapDataset
from mmssm.datasets.samplers import EpochSampler
from mmssm.datasets.transforms import DetectorNoise

__all__ = ['DetectorNoise', 'EpochSampler', 'Human36mDataset', 'MocapDataset']
