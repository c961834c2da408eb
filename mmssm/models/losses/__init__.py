"""Losses."""

from .hand_mesh_loss import HandMeshLoss
from .hand_pose_prior import HandPosePrior
from .lifting_loss import LiftingLoss

__all__ = ['HandMeshLoss', 'HandPosePrior', 'LiftingLoss']
