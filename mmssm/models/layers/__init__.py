"""The parts that models are built of."""

from .causal_dwconv import CausalDWConv1d
from .conv_block import ConvBlock
from .cross_paths import cross_paths
from .deform_dwconv import DeformDWConv2d
from .down_conv import DownConv
from .dssm import DSSM
from .gated_conv import GatedConv
from .graph_conv import GraphConv
from .local_mix import LocalMix
from .mano import MANO, HandMesh
from .row_scan import RowScan
from .s6 import S6
from .ss2d import SS2D, PathCache
from .stride_mix import StrideMix
from .vss_block import VSSBlock

__all__ = [
    'DSSM',
    'MANO',
    'S6',
    'SS2D',
    'CausalDWConv1d',
    'ConvBlock',
    'DeformDWConv2d',
    'DownConv',
    'GatedConv',
    'GraphConv',
    'HandMesh',
    'LocalMix',
    'PathCache',
    'RowScan',
    'StrideMix',
    'VSSBlock',
    'cross_paths',
]
