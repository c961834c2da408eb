"""Errors of poses, and their metrics for MMPose."""

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.evaluation.metrics import (
    HandMeshMetric,
    HandPoseMetric,
    HIntPCK,
    InterHand3DMetric,
    LiftingMetric,
    MpiInf3dhpMetric,
)

__all__ = [
    'HIntPCK',
    'HandMeshMetric',
    'HandPoseMetric',
    'InterHand3DMetric',
    'LiftingMetric',
    'MpiInf3dhpMetric',
]
