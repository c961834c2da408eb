"""The parts that models are built of."""

from .autocast import without_autocast
from .causal_deform_dwconv import CausalDeformDWConv2d
from .causal_dwconv import CausalDWConv1d
from .causal_paths import frame_path, joint_path
from .causal_ss2d import CausalSS2D
from .conv_block import ConvBlock
from .crop_map import CropMap
from .cross_paths import cross_paths
from .cross_scan_block import cross_scan_block
from .deform_dwconv import DeformDWConv2d
from .down_conv import DownConv
from .dssm import DSSM
from .gated_conv import GatedConv
from .graph_conv import GraphConv
from .gss_block import GSSBlock
from .local_mix import LocalMix
from .mano import MANO, HandMesh
from .node_graph_conv import NodeGraphConv
from .normed_stages import NormedStages
from .row_scan import RowScan
from .s6 import S6
from .self_attention import SelfAttention
from .ss2d import SS2D, PathCache
from .stream_state import LayerState, StreamState
from .stride_mix import StrideMix
from .token_sampler import TokenSampler
from .vss_block import VSSBlock

__all__ = [
    'DSSM',
    'MANO',
    'S6',
    'SS2D',
    'CausalDWConv1d',
    'CausalDeformDWConv2d',
    'CausalSS2D',
    'ConvBlock',
    'CropMap',
    'DeformDWConv2d',
    'DownConv',
    'GSSBlock',
    'GatedConv',
    'GraphConv',
    'HandMesh',
    'LayerState',
    'LocalMix',
    'NodeGraphConv',
    'NormedStages',
    'PathCache',
    'RowScan',
    'SelfAttention',
    'StreamState',
    'StrideMix',
    'TokenSampler',
    'VSSBlock',
    'cross_paths',
    'cross_scan_block',
    'frame_path',
    'joint_path',
    'without_autocast',
]
