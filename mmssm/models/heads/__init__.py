"""Heads."""

from .heatmap_depth_head import HeatmapDepthHead
from .lifting_head import LiftingHead

__all__ = ['HeatmapDepthHead', 'LiftingHead']
