from mmssm.datasets.transforms.detector_noise import DetectorNoise

__all__ = ['DetectorNoise']
