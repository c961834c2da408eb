"""Models."""

from . import backbones, heads, layers, losses

__all__ = ['backbones', 'heads', 'layers', 'losses']
