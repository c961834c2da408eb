"""Pictures: poses in the plane and in space, clips, training curves."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .curves import load_scalars, plot_curves
from .pose3d_visualizer import Pose3dVisualizer
from .scene import Skeleton
from .sequence import PoseSequence, SequencePainter, save_clip

__all__ = [
    'Pose3dVisualizer',
    'PoseSequence',
    'SequencePainter',
    'Skeleton',
    'load_scalars',
    'plot_curves',
    'save_clip',
]
