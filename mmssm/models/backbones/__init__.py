"""Backbones."""

from .df_mamba import DFMamba
from .posemamba import PoseMamba
from .sasmamba import SasMamba

__all__ = ['DFMamba', 'PoseMamba', 'SasMamba']
