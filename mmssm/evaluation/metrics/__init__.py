from mmssm.evaluation.metrics.hand_mesh_metric import HandMeshMetric
from mmssm.evaluation.metrics.hand_pose_metric import HandPoseMetric
from mmssm.evaluation.metrics.hint_pck import HIntPCK
from mmssm.evaluation.metrics.interhand_metric import InterHand3DMetric
from mmssm.evaluation.metrics.lifting_metric import LiftingMetric
from mmssm.evaluation.metrics.mpi_inf_3dhp_metric import MpiInf3dhpMetric

__all__ = [
    'HIntPCK',
    'HandMeshMetric',
    'HandPoseMetric',
    'InterHand3DMetric',
    'LiftingMetric',
    'MpiInf3dhpMetric',
]
