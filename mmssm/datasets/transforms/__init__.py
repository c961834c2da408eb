from mmssm.datasets.transforms.checked_image import LoadCheckedImage
from mmssm.datasets.transforms.depth_image import (
    LoadDepthImage,
    NormalizeDepth,
    TopdownDepthAffine,
)
from mmssm.datasets.transforms.detector_noise import DetectorNoise
from mmssm.datasets.transforms.ground_truth_2d import GroundTruth2D
from mmssm.datasets.transforms.hand_mesh_crop import (
    HandMeshCropAffine,
    HandMeshCropBox,
    HandMeshCropJitter,
    RandomChannelGain,
)
from mmssm.datasets.transforms.lost_detections import LostDetections
from mmssm.datasets.transforms.mirror_hand import MirrorLeftHand, RandomMirrorHand

__all__ = [
    'DetectorNoise',
    'GroundTruth2D',
    'HandMeshCropAffine',
    'HandMeshCropBox',
    'HandMeshCropJitter',
    'LoadCheckedImage',
    'LoadDepthImage',
    'LostDetections',
    'MirrorLeftHand',
    'NormalizeDepth',
    'RandomChannelGain',
    'RandomMirrorHand',
    'TopdownDepthAffine',
]
