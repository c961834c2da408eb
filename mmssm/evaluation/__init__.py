"""Errors of poses, and their metrics for MMPose."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.evaluation.metrics import (
    HandPoseMetric,
    InterHand3DMetric,
    LiftingMetric,
    MpiInf3dhpMetric,
)

__all__ = [
    'HandPoseMetric',
    'InterHand3DMetric',
    'LiftingMetric',
    'MpiInf3dhpMetric',
]
