from mmssm.evaluation.metrics import LiftingMetric

__all__ = ['LiftingMetric']
