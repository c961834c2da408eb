"""Pose estimators."""

from .topdown_hand import TopdownHandEstimator

__all__ = ['TopdownHandEstimator']
