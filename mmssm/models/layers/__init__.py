"""The parts that models are built of."""

from .cross_paths import cross_paths
from .s6 import S6
from .ss2d import SS2D, PathCache
from .vss_block import VSSBlock

__all__ = ['S6', 'SS2D', 'PathCache', 'VSSBlock', 'cross_paths']
