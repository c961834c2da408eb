from mmssm.evaluation.metrics.hand_pose_metric import HandPoseMetric
from mmssm.evaluation.metrics.interhand_metric import InterHand3DMetric
from mmssm.evaluation.metrics.lifting_metric import LiftingMetric
from mmssm.evaluation.metrics.mpi_inf_3dhp_metric import MpiInf3dhpMetric

__all__ = [
    'HandPoseMetric',
    'InterHand3DMetric',
    'LiftingMetric',
    'MpiInf3dhpMetric',
]
