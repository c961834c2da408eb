"""Heads."""

from .lifting_head import LiftingHead

__all__ = ['LiftingHead']
