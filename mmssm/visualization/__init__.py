"""Pictures: poses in the plane and in space, meshes, clips, training curves."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .curves import load_scalars, plot_curves
from .deform_samples import SampledTokens, draw_samples, draw_samples_sheet
from .hand_mesh_visualizer import HandMeshVisualizer
from .mesh_pictures import PlacedMesh, draw_meshes, draw_view, place_meshes
from .pose3d_visualizer import Pose3dVisualizer
from .scene import Skeleton
from .sequence import PoseSequence, SequencePainter, save_clip

__all__ = [
    'HandMeshVisualizer',
    'PlacedMesh',
    'Pose3dVisualizer',
    'PoseSequence',
    'SampledTokens',
    'SequencePainter',
    'Skeleton',
    'draw_meshes',
    'draw_samples',
    'draw_samples_sheet',
    'draw_view',
    'load_scalars',
    'place_meshes',
    'plot_curves',
    'save_clip',
]
