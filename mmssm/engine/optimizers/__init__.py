"""Optimizer set-up."""

from .mamba_constructor import MambaOptimWrapperConstructor
from .prior_constructor import PriorOptimWrapperConstructor

__all__ = ['MambaOptimWrapperConstructor', 'PriorOptimWrapperConstructor']
