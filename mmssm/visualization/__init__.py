"""Pictures: poses in the plane and in space, clips, training curves."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .curves import load_scalars, plot_curves
from .deform_samples import SampledTokens, draw_samples, draw_samples_sheet
from .pose3d_visualizer import Pose3dVisualizer
from .scene import Skeleton
from .sequence import PoseSequence, SequencePainter, save_clip

__all__ = [
    'Pose3dVisualizer',
    'PoseSequence',
    'SampledTokens',
    'SequencePainter',
    'Skeleton',
    'draw_samples',
    'draw_samples_sheet',
    'load_scalars',
    'plot_curves',
    'save_clip',
]
