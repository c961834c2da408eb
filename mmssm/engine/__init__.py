"""What runs around a model: hooks and optimizer set-up."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .hooks import (
    DeformSamplesHook,
    HandMeshVisualizationHook,
    InvalidLossHook,
    Pose3dVisualizationHook,
    ReseedHook,
    ResumableCheckpointHook,
)
from .optimizers import MambaOptimWrapperConstructor, PriorOptimWrapperConstructor

__all__ = [
    'DeformSamplesHook',
    'HandMeshVisualizationHook',
    'InvalidLossHook',
    'MambaOptimWrapperConstructor',
    'Pose3dVisualizationHook',
    'PriorOptimWrapperConstructor',
    'ReseedHook',
    'ResumableCheckpointHook',
]
