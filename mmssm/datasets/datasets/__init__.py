from mmssm.datasets.datasets.h36m_dataset import Human36mDataset
from mmssm.datasets.datasets.mocap_dataset import MocapDataset

__all__ = ['Human36mDataset', 'MocapDataset']
