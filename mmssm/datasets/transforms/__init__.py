from mmssm.datasets.transforms.checked_image import LoadCheckedImage
from mmssm.datasets.transforms.depth_image import (
    LoadDepthImage,
    NormalizeDepth,
    TopdownDepthAffine,
)
from mmssm.datasets.transforms.detector_noise import DetectorNoise
from mmssm.datasets.transforms.ground_truth_2d import GroundTruth2D

__all__ = [
    'DetectorNoise',
    'GroundTruth2D',
    'LoadCheckedImage',
    'LoadDepthImage',
    'NormalizeDepth',
    'TopdownDepthAffine',
]
