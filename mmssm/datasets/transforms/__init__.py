from mmssm.datasets.transforms.detector_noise import DetectorNoise
from mmssm.datasets.transforms.ground_truth_2d import GroundTruth2D

__all__ = ['DetectorNoise', 'GroundTruth2D']
