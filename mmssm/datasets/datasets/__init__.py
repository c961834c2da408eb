from mmssm.datasets.datasets.assemblyhands_dataset import AssemblyHandsDataset
from mmssm.datasets.datasets.dexycb_dataset import DexYCBDataset
from mmssm.datasets.datasets.freihand_dataset import FreiHAND3DDataset
from mmssm.datasets.datasets.h36m_dataset import Human36mDataset
from mmssm.datasets.datasets.hamer_dataset import (
    HandMeshNpzDataset,
    HandMeshTarDataset,
)
from mmssm.datasets.datasets.hand2d_dataset import Hand2DDataset
from mmssm.datasets.datasets.hand_poses import HandPoseDataset
from mmssm.datasets.datasets.hint_dataset import HIntDataset
from mmssm.datasets.datasets.ho3d_dataset import HO3DDataset
from mmssm.datasets.datasets.interhand_dataset import InterHand3DDataset
from mmssm.datasets.datasets.mocap_dataset import MocapDataset
from mmssm.datasets.datasets.motionbert_dataset import Human36mMotionBERTDataset
from mmssm.datasets.datasets.mpi_inf_3dhp_dataset import MpiInf3dhpDataset
from mmssm.datasets.datasets.nyu_dataset import NYUHandDataset
from mmssm.datasets.datasets.rhd_dataset import RHD3DDataset
from mmssm.datasets.datasets.weighted_dataset import WeightedCombinedDataset

__all__ = [
    'AssemblyHandsDataset',
    'DexYCBDataset',
    'FreiHAND3DDataset',
    'HIntDataset',
    'HO3DDataset',
    'Hand2DDataset',
    'HandMeshNpzDataset',
    'HandMeshTarDataset',
    'HandPoseDataset',
    'Human36mDataset',
    'Human36mMotionBERTDataset',
    'InterHand3DDataset',
    'MocapDataset',
    'MpiInf3dhpDataset',
    'NYUHandDataset',
    'RHD3DDataset',
    'WeightedCombinedDataset',
]
