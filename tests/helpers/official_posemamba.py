"""The authors' PoseMamba checkpoint, as far as names, shapes and values go.

Names and shapes are written down here by hand, not derived from our model or
converter, so that both can be held against them. ``golden`` fills them with a
sine wave; the outputs and gradients of the authors' code on these weights are
the golden numbers of the tests.
"""

import math
import re

import torch
from torch import Tensor


def shapes(
    embed_dims: int,
    depth: int,
    num_frames: int,
    num_joints: int = 17,
    in_channels: int = 2,
    d_state: int = 16,
) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters by official name."""
    width, inner = embed_dims, 2 * embed_dims
    rank = math.ceil(width / 16)
    block = {
        'norm.weight': (width,),
        'norm.bias': (width,),
        'op.in_proj.weight': (2 * inner, width),
        'op.conv2d.weight': (inner, 1, 3, 3),
        'op.conv2d.bias': (inner,),
        'op.x_proj_weight': (4, rank + 2 * d_state, inner),
        'op.dt_projs_weight': (4, inner, rank),
        'op.dt_projs_bias': (4, inner),
        'op.A_logs': (4 * inner, d_state),
        'op.Ds': (4 * inner,),
        'op.out_norm.weight': (inner,),
        'op.out_norm.bias': (inner,),
        'op.out_proj.weight': (width, inner),
        'norm2.weight': (width,),
        'norm2.bias': (width,),
        'mlp.fc1.weight': (2 * width, width),
        'mlp.fc1.bias': (2 * width,),
        'mlp.fc2.weight': (width, 2 * width),
        'mlp.fc2.bias': (width,),
    }
    named = {
        'Spatial_patch_to_embedding.weight': (width, in_channels),
        'Spatial_patch_to_embedding.bias': (width,),
        'Spatial_pos_embed': (1, num_joints, width),
        'Temporal_pos_embed': (1, num_frames, width),
        'Spatial_norm.weight': (width,),
        'Spatial_norm.bias': (width,),
        'Temporal_norm.weight': (width,),
        'Temporal_norm.bias': (width,),
        'head.0.weight': (width,),
        'head.0.bias': (width,),
        'head.1.weight': (3, width),
        'head.1.bias': (3,),
    }
    for kind in ('STEblocks', 'TTEblocks'):
        for i in range(depth):
            named |= {f'{kind}.{i}.{name}': shape for name, shape in block.items()}
    return named


def golden(embed_dims: int = 16, depth: int = 2, num_frames: int = 9) -> dict:
    """Official weights of a tiny model: a sine wave over sorted names."""
    named = shapes(embed_dims, depth, num_frames)
    return {
        name: _value(name, position, named[name])
        for position, name in enumerate(sorted(named))
    }


def golden_input() -> Tensor:
    """The input of the golden numbers, ``(2, 9, 17, 2)``."""
    steps = torch.arange(2 * 9 * 17 * 2, dtype=torch.float64)
    return (0.8 * torch.sin(0.37 * steps)).float().view(2, 9, 17, 2)


def _value(name: str, position: int, shape: tuple[int, ...]) -> Tensor:
    steps = torch.arange(math.prod(shape), dtype=torch.float64)
    wave = (0.3 * torch.sin(0.7 * steps + 1.3 * position)).float().view(shape)
    if name.endswith('A_logs'):
        return torch.arange(1.0, shape[1] + 1).log() + 0.1 * wave
    if name.endswith('dt_projs_bias'):
        return wave - 3
    if name.endswith('Ds') or re.search(r'norm2?\.weight$|head\.0\.weight$', name):
        return wave + 1
    return wave
