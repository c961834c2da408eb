"""The parts that models are built of."""

from .cross_paths import cross_paths
from .deform_dwconv import DeformDWConv2d
from .down_conv import DownConv
from .graph_conv import GraphConv
from .local_mix import LocalMix
from .s6 import S6
from .ss2d import SS2D, PathCache
from .stride_mix import StrideMix
from .vss_block import VSSBlock

__all__ = [
    'S6',
    'SS2D',
    'DeformDWConv2d',
    'DownConv',
    'GraphConv',
    'LocalMix',
    'PathCache',
    'StrideMix',
    'VSSBlock',
    'cross_paths',
]
