"""Pose estimators."""

from .hand_mesh import HandMeshEstimator
from .topdown_hand import TopdownHandEstimator

__all__ = ['HandMeshEstimator', 'TopdownHandEstimator']
