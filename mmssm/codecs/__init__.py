"""Codecs: between joints in pixels and metres and what networks see."""

import mmssm.registry  # noqa: F401  cures the host before it is imported

from .frame_lifting_label import FrameLiftingLabel
from .hand_mesh import HandMesh
from .heatmap_depth import HeatmapDepth

__all__ = ['FrameLiftingLabel', 'HandMesh', 'HeatmapDepth']
