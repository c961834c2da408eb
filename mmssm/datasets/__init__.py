"""Datasets of lifting clips: the embedded motion, Human3.6M and MPI-INF-3DHP."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.datasets.datasets import (
    Human36mDataset,
    Human36mMotionBERTDataset,
    MocapDataset,
    MpiInf3dhpDataset,
)
from mmssm.datasets.samplers import EpochSampler
from mmssm.datasets.transforms import (
    DetectorNoise,
    GroundTruth2D,
    MirrorLeftHand,
    RandomMirrorHand,
)

__all__ = [
    'DetectorNoise',
    'EpochSampler',
    'GroundTruth2D',
    'Human36mDataset',
    'Human36mMotionBERTDataset',
    'MirrorLeftHand',
    'MocapDataset',
    'MpiInf3dhpDataset',
    'RandomMirrorHand',
]
