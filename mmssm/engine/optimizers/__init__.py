"""Optimizer set-up."""

from .mamba_constructor import MambaOptimWrapperConstructor

__all__ = ['MambaOptimWrapperConstructor']
