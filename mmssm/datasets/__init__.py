"""Datasets of lifting clips and of hands, and their transforms."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.datasets.datasets import (
    DexYCBDataset,
    FreiHAND3DDataset,
    Human36mDataset,
    Human36mMotionBERTDataset,
    InterHand3DDataset,
    MocapDataset,
    MpiInf3dhpDataset,
    RHD3DDataset,
)
from mmssm.datasets.samplers import EpochSampler
from mmssm.datasets.transforms import (
    DetectorNoise,
    GroundTruth2D,
    LoadCheckedImage,
    MirrorLeftHand,
    RandomMirrorHand,
)

__all__ = [
    'DetectorNoise',
    'DexYCBDataset',
    'EpochSampler',
    'FreiHAND3DDataset',
    'GroundTruth2D',
    'Human36mDataset',
    'Human36mMotionBERTDataset',
    'InterHand3DDataset',
    'LoadCheckedImage',
    'MirrorLeftHand',
    'MocapDataset',
    'MpiInf3dhpDataset',
    'RHD3DDataset',
    'RandomMirrorHand',
]
