"""Backbones."""

from .df_mamba import DFMamba
from .posemamba import PoseMamba
from .sasmamba import SasMamba
from .vmamba import VMamba

__all__ = ['DFMamba', 'PoseMamba', 'SasMamba', 'VMamba']
