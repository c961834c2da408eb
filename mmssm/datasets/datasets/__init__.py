from mmssm.datasets.datasets.mocap_dataset import MocapDataset

__all__ = ['MocapDataset']
