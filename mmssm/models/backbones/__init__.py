"""Backbones."""

from .posemamba import PoseMamba

__all__ = ['PoseMamba']
