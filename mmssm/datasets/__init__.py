"""Datasets of lifting clips and of hands, and their transforms."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.datasets.datasets import (
    AssemblyHandsDataset,
    DexYCBDataset,
    FreiHAND3DDataset,
    HandPoseDataset,
    Human36mDataset,
    Human36mMotionBERTDataset,
    InterHand3DDataset,
    MocapDataset,
    MpiInf3dhpDataset,
    NYUHandDataset,
    RHD3DDataset,
)
from mmssm.datasets.samplers import EpochSampler
from mmssm.datasets.transforms import (
    DetectorNoise,
    GroundTruth2D,
    HandMeshCropAffine,
    HandMeshCropBox,
    HandMeshCropJitter,
    LoadCheckedImage,
    LoadDepthImage,
    MirrorLeftHand,
    NormalizeDepth,
    RandomChannelGain,
    RandomMirrorHand,
    TopdownDepthAffine,
)

__all__ = [
    'AssemblyHandsDataset',
    'DetectorNoise',
    'DexYCBDataset',
    'EpochSampler',
    'FreiHAND3DDataset',
    'GroundTruth2D',
    'HandMeshCropAffine',
    'HandMeshCropBox',
    'HandMeshCropJitter',
    'HandPoseDataset',
    'Human36mDataset',
    'Human36mMotionBERTDataset',
    'InterHand3DDataset',
    'LoadCheckedImage',
    'LoadDepthImage',
    'MirrorLeftHand',
    'MocapDataset',
    'MpiInf3dhpDataset',
    'NYUHandDataset',
    'NormalizeDepth',
    'RHD3DDataset',
    'RandomChannelGain',
    'RandomMirrorHand',
    'TopdownDepthAffine',
]
