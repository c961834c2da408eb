"""Heads."""

from .hamba_head import HambaHead
from .heatmap_depth_head import HeatmapDepthHead
from .lifting_head import LiftingHead
from .mano_head import MANOHead
from .mesh_prediction import MeshPrediction

__all__ = [
    'HambaHead',
    'HeatmapDepthHead',
    'LiftingHead',
    'MANOHead',
    'MeshPrediction',
]
