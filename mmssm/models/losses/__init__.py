"""Losses."""

from .hand_mesh_loss import HandMeshLoss
from .lifting_loss import LiftingLoss

__all__ = ['HandMeshLoss', 'LiftingLoss']
