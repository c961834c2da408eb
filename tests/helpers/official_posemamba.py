"""The authors' PoseMamba and SasMamba checkpoints: names, shapes and values.

Names and shapes are written down here by hand, not derived from our model or
converter, so that both can be held against them. ``golden`` fills them with a
sine wave; the outputs and gradients of the authors' code on these weights are
the golden numbers of the tests.
"""

import math
import re
from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor

from helpers.modules import load_script


def converter(name: str) -> SimpleNamespace:
    """A converter's command and the functions behind it, for its model."""
    from mmssm.apis import official_weights

    script = load_script(f'tools/model_converters/{name}.py')
    return SimpleNamespace(
        main=script.main,
        ConversionError=official_weights.ConversionError,
        **{
            function.__name__: partial(function, model=script.MODEL)
            for function in (
                official_weights.model_config,
                official_weights.convert_weights,
                official_weights.convert,
            )
        },
    )


def shapes(
    embed_dims: int,
    depth: int,
    num_frames: int,
    num_joints: int = 17,
    in_channels: int = 2,
    d_state: int = 16,
    structure_kernel: int | None = None,
) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters by official name.

    ``structure_kernel`` is the kernel size of SasMamba's deformable convolution;
    without, it is a PoseMamba.
    """
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
    if structure_kernel is not None:
        del block['op.conv2d.weight'], block['op.conv2d.bias']
        if structure_kernel > 1:
            taps, sides = structure_kernel**2, (structure_kernel, structure_kernel)
            block |= {
                'op.conv2d.offset_conv.weight': (2 * taps, inner, *sides),
                'op.conv2d.offset_conv.bias': (2 * taps,),
                'op.conv2d.dcn.weight': (inner, 1, *sides),
                'op.conv2d.dcn.bias': (inner,),
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


def golden(
    embed_dims: int = 16,
    depth: int = 2,
    num_frames: int = 9,
    structure_kernel: int | None = None,
) -> dict:
    """Official weights of a tiny model: a sine wave over sorted names."""
    named = shapes(embed_dims, depth, num_frames, structure_kernel=structure_kernel)
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
