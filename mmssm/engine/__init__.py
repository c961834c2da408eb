"""What runs around a model: hooks and optimizer set-up."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .hooks import (
    DeformSamplesHook,
    InvalidLossHook,
    Pose3dVisualizationHook,
    ReseedHook,
    ResumableCheckpointHook,
)
from .optimizers import MambaOptimWrapperConstructor, PriorOptimWrapperConstructor

__all__ = [
    'DeformSamplesHook',
    'InvalidLossHook',
    'MambaOptimWrapperConstructor',
    'Pose3dVisualizationHook',
    'PriorOptimWrapperConstructor',
    'ReseedHook',
    'ResumableCheckpointHook',
]
