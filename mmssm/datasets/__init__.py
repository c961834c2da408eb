from mmssm.datasets.datasets import MocapDataset
from mmssm.datasets.samplers import EpochSampler
from mmssm.datasets.transforms import DetectorNoise

__all__ = ['DetectorNoise', 'EpochSampler', 'MocapDataset']
