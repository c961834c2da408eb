from mmssm.evaluation.metrics.lifting_metric import LiftingMetric
from mmssm.evaluation.metrics.mpi_inf_3dhp_metric import MpiInf3dhpMetric

__all__ = ['LiftingMetric', 'MpiInf3dhpMetric']
