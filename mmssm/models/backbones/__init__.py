"""Backbones."""

from .posemamba import PoseMamba
from .sasmamba import SasMamba
from .vmamba import VMamba

__all__ = ['PoseMamba', 'SasMamba', 'VMamba']
