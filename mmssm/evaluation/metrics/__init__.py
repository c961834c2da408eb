from mmssm.evaluation.metrics.lifting_metric import LiftingMetric

__all__ = ['LiftingMetric']
