"""Losses."""

from .lifting_loss import LiftingLoss

__all__ = ['LiftingLoss']
