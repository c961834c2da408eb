"""Backbones."""

from .posemamba import PoseMamba
from .sasmamba import SasMamba

__all__ = ['PoseMamba', 'SasMamba']
