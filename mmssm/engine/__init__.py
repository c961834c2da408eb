"""What runs around a model: hooks and optimizer set-up."""

from .hooks import (
    InvalidLossHook,
    Pose3dVisualizationHook,
    ReseedHook,
    ResumableCheckpointHook,
)
from .optimizers import MambaOptimWrapperConstructor

__all__ = [
    'InvalidLossHook',
    'MambaOptimWrapperConstructor',
    'Pose3dVisualizationHook',
    'ReseedHook',
    'ResumableCheckpointHook',
]
