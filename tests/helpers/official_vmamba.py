"""The authors' VMamba checkpoints: names, shapes and values, and what they compute.

Names and shapes are written down here by hand, not derived from our model or
converter. ``plain_maps`` computes with them in plain PyTorch, channels first and one
step of a scan after the other, so that model and converter can be held against it.
"""

import math
import re
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

TINY = dict(dims=16, depths=(1, 2, 1, 1), ssm_ratio=2.0, num_classes=7)


def shapes(
    dims: int,
    depths: Sequence[int],
    ssm_ratio: float,
    in_channels: int = 3,
    num_classes: int = 1000,
) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters by official name."""
    named: dict[str, tuple[int, ...]] = {
        'patch_embed.0.weight': (dims // 2, in_channels, 3, 3),
        'patch_embed.0.bias': (dims // 2,),
        'patch_embed.2.weight': (dims // 2,),
        'patch_embed.2.bias': (dims // 2,),
        'patch_embed.5.weight': (dims, dims // 2, 3, 3),
        'patch_embed.5.bias': (dims,),
        'patch_embed.7.weight': (dims,),
        'patch_embed.7.bias': (dims,),
    }
    for i, depth in enumerate(depths):
        width = dims * 2**i
        for j in range(depth):
            for name, shape in _block(width, int(ssm_ratio * width)).items():
                named[f'layers.{i}.blocks.{j}.{name}'] = shape
        if i + 1 < len(depths):
            named |= {
                f'layers.{i}.downsample.1.weight': (2 * width, width, 3, 3),
                f'layers.{i}.downsample.1.bias': (2 * width,),
                f'layers.{i}.downsample.3.weight': (2 * width,),
                f'layers.{i}.downsample.3.bias': (2 * width,),
            }
    return named | {
        'classifier.norm.weight': (width,),
        'classifier.norm.bias': (width,),
        'classifier.head.weight': (num_classes, width),
        'classifier.head.bias': (num_classes,),
    }


def _block(width: int, inner: int) -> dict[str, tuple[int, ...]]:
    rank = math.ceil(width / 16)
    return {
        'norm.weight': (width,),
        'norm.bias': (width,),
        'op.x_proj_weight': (4, rank + 2, inner),
        'op.dt_projs_weight': (4, inner, rank),
        'op.dt_projs_bias': (4, inner),
        'op.A_logs': (4 * inner, 1),
        'op.Ds': (4 * inner,),
        'op.out_norm.weight': (inner,),
        'op.out_norm.bias': (inner,),
        'op.in_proj.weight': (inner, width),
        'op.conv2d.weight': (inner, 1, 3, 3),
        'op.out_proj.weight': (width, inner),
        'norm2.weight': (width,),
        'norm2.bias': (width,),
        'mlp.fc1.weight': (4 * width, width),
        'mlp.fc1.bias': (4 * width,),
        'mlp.fc2.weight': (width, 4 * width),
        'mlp.fc2.bias': (width,),
    }


def weights(seed: int = 0, **size: object) -> dict[str, Tensor]:
    """Random official weights of a tiny model, the size of ``TINY`` if none is given.

    They are large enough that nothing drowns: neither biases nor decays are zero.
    """
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for name, shape in shapes(**(size or TINY)).items():
        value = torch.randn(shape, generator=generator)
        if re.search(r'norm2?\.weight$|[237]\.weight$', name) and len(shape) == 1:
            value = 1 + 0.2 * value
        elif name.endswith('Ds'):
            value = 1 + 0.5 * value
        elif len(shape) > 1 and not name.endswith('A_logs'):
            value = value * math.prod(shape[1:]) ** -0.5
        else:
            value = 0.3 * value
        result[name] = value
    return result


def plain_maps(weights: Mapping[str, Tensor], x: Tensor) -> list[Tensor]:
    """The maps ``(N, C, H, W)`` behind the last block of every stage."""
    w = weights
    x = F.gelu(_conv_norm(w, 'patch_embed.0', 'patch_embed.2', x))
    x = _conv_norm(w, 'patch_embed.5', 'patch_embed.7', x)
    maps = []
    stage = 0
    while f'layers.{stage}.blocks.0.norm.weight' in w:
        block = 0
        while f'layers.{stage}.blocks.{block}.norm.weight' in w:
            x = _plain_block(w, f'layers.{stage}.blocks.{block}.', x)
            block += 1
        maps.append(x)
        down = f'layers.{stage}.downsample.'
        if down + '1.weight' in w:
            x = _conv_norm(w, down + '1', down + '3', x)
        stage += 1
    return maps


def norm(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    """LayerNorm over the channels of maps ``(N, C, H, W)``."""
    mean = x.mean(1, keepdim=True)
    deviation = ((x - mean).square().mean(1, keepdim=True) + 1e-5).sqrt()
    scale, shift = (weights[f'{name}.{kind}'] for kind in ('weight', 'bias'))
    x = (x - mean) / deviation
    return x * scale[:, None, None] + shift[:, None, None]


def _conv_norm(w: Mapping[str, Tensor], conv: str, norm_name: str, x: Tensor) -> Tensor:
    x = F.conv2d(x, w[conv + '.weight'], w[conv + '.bias'], stride=2, padding=1)
    return norm(w, norm_name, x)


def _plain_block(w: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    x = x + _plain_ss2d(w, name + 'op.', norm(w, name + 'norm', x))
    y = norm(w, name + 'norm2', x)
    y = F.gelu(_pointwise(w, name + 'mlp.fc1', y, bias=True))
    return x + _pointwise(w, name + 'mlp.fc2', y, bias=True)


def _pointwise(
    w: Mapping[str, Tensor], name: str, x: Tensor, bias: bool = False
) -> Tensor:
    y = torch.einsum('oc,nchw->nohw', w[name + '.weight'], x)
    return y + w[name + '.bias'][:, None, None] if bias else y


def _plain_ss2d(w: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    x = _pointwise(w, name + 'in_proj', x)
    kernel = w[name + 'conv2d.weight']
    x = F.silu(F.conv2d(x, kernel, padding=1, groups=len(kernel)))
    rows, columns = x.shape[2:]
    by_rows = x.flatten(2)
    by_columns = x.transpose(2, 3).flatten(2)
    paths = [by_rows, by_columns, by_rows.flip(2), by_columns.flip(2)]
    ys = [_plain_scan(w, name, k, path) for k, path in enumerate(paths)]
    by_rows = (ys[0] + ys[2].flip(2)).unflatten(2, (rows, columns))
    by_columns = (ys[1] + ys[3].flip(2)).unflatten(2, (columns, rows))
    y = norm(w, name + 'out_norm', by_rows + by_columns.transpose(2, 3))
    return _pointwise(w, name + 'out_proj', y)


def _plain_scan(w: Mapping[str, Tensor], name: str, k: int, x: Tensor) -> Tensor:
    """One path with one state per channel, over ``(N, E, L)``."""
    inner = x.shape[1]
    rank = w[name + 'dt_projs_weight'].shape[2]
    own = slice(k * inner, (k + 1) * inner)
    A = -w[name + 'A_logs'][own, 0].exp()
    D = w[name + 'Ds'][own]
    dt, B, C = (w[name + 'x_proj_weight'][k] @ x).split([rank, 1, 1], dim=1)
    bias = w[name + 'dt_projs_bias'][k][:, None]
    delta = F.softplus(w[name + 'dt_projs_weight'][k] @ dt + bias)
    state = torch.zeros_like(x[..., 0])
    ys = []
    for t in range(x.shape[2]):
        decay = (delta[..., t] * A).exp()
        state = decay * state + delta[..., t] * B[..., t] * x[..., t]
        ys.append(C[..., t] * state + D * x[..., t])
    return torch.stack(ys, dim=2)
