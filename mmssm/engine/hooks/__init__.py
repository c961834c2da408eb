"""Hooks."""

from .checkpoint_hook import ResumableCheckpointHook
from .deform_samples_hook import DeformSamplesHook
from .hand_mesh_visualization_hook import HandMeshVisualizationHook
from .invalid_loss_hook import InvalidLossHook
from .reseed_hook import ReseedHook
from .visualization_hook import Pose3dVisualizationHook

__all__ = [
    'DeformSamplesHook',
    'HandMeshVisualizationHook',
    'InvalidLossHook',
    'Pose3dVisualizationHook',
    'ReseedHook',
    'ResumableCheckpointHook',
]
