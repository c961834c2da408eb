"""The converter on a backbone's weights by the names of HaMeR's code."""

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from helpers.modules import ROOT, load_script
from mmengine.config import Config

import mmssm.registry  # noqa: F401
from mmssm.apis.official_weights import (
    ConversionError,
    convert_weights,
    model_config,
    official_weights,
)

needs_mmpretrain = pytest.mark.skipif(
    importlib.util.find_spec('mmpretrain') is None,
    reason='mmpretrain is not installed (requirements/optional.txt)',
)
CONFIG = ROOT / 'configs/_base_/models/vit_huge_256x192.py'
SMALL = dict(embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=12)


@pytest.fixture(scope='module')
def converter():
    return load_script('tools/model_converters/hamer_vit.py')


def shapes(embed_dims, num_layers, feedforward_channels, **_):
    """Names and shapes of HaMeR's ViT."""
    wide, hidden = embed_dims, feedforward_channels
    found = {
        'pos_embed': (1, 193, wide),
        'patch_embed.proj.weight': (wide, 3, 16, 16),
        'patch_embed.proj.bias': (wide,),
        'last_norm.weight': (wide,),
        'last_norm.bias': (wide,),
    }
    layers = {
        'norm1': (wide,),
        'attn.qkv': (3 * wide, wide),
        'attn.proj': (wide, wide),
        'norm2': (wide,),
        'mlp.fc1': (hidden, wide),
        'mlp.fc2': (wide, hidden),
    }
    for block in range(num_layers):
        for name, shape in layers.items():
            found[f'blocks.{block}.{name}.weight'] = shape
            found[f'blocks.{block}.{name}.bias'] = shape[:1]
    return found


def checkpoint(device='cpu', **size):
    """What hamer.ckpt has: the backbone beside other parts."""
    generator = None if device == 'meta' else torch.Generator().manual_seed(0)
    weights = {
        f'backbone.{name}': torch.randn(shape, generator=generator, device=device) / 4
        for name, shape in shapes(**size).items()
    }
    return {
        **weights,
        'mano_head.decpose.weight': torch.zeros(2, 2),
        'discriminator.betas_fc1.weight': torch.zeros(2, 2),
    }


def write(path, weights):
    torch.save({'state_dict': weights, 'epoch': 7, 'global_step': 1}, path)
    return path


def plain_vit(weights, x, heads):
    """HaMeR's backbone written out."""

    def layer(name, value, function=F.linear, **arguments):
        weight, bias = (weights[f'{name}.{part}'] for part in ('weight', 'bias'))
        return function(value, weight, bias, **arguments)

    def norm(name, value):
        weight, bias = (weights[f'{name}.{part}'] for part in ('weight', 'bias'))
        return F.layer_norm(value, weight.shape, weight, bias, eps=1e-6)

    maps = layer('patch_embed.proj', x, F.conv2d, stride=16, padding=2)
    x = maps.flatten(2).transpose(1, 2)
    x = x + weights['pos_embed'][:, 1:] + weights['pos_embed'][:, :1]
    for block in range(2):
        name = f'blocks.{block}'
        qkv = layer(f'{name}.attn.qkv', norm(f'{name}.norm1', x))
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        mixed = (scores @ v).transpose(1, 2).flatten(2)
        x = x + layer(f'{name}.attn.proj', mixed)
        hidden = F.gelu(layer(f'{name}.mlp.fc1', norm(f'{name}.norm2', x)))
        x = x + layer(f'{name}.mlp.fc2', hidden)
    return norm('last_norm', x).transpose(1, 2).view_as(maps)


@needs_mmpretrain
def test_the_backbone_computes_what_hamers_does(converter, tmp_path):
    from mmpose.registry import MODELS

    from mmssm.apis.official_weights import convert

    weights = checkpoint(**SMALL)
    source = write(tmp_path / 'hamer.ckpt', weights)
    target = tmp_path / 'ours.pth'
    config = convert(source, target, converter.vit(SMALL))
    model = MODELS.build(
        {**config, 'init_cfg': dict(type='Pretrained', checkpoint=str(target))}
    )
    model.init_weights()
    model.eval()  # MMPretrain's returns nothing
    x = torch.randn(1, 3, 256, 192)
    with torch.no_grad():
        (found,) = model(x)
        mine = {k.removeprefix('backbone.'): v for k, v in weights.items()}
        expected = plain_vit(mine, x, heads=2)
    assert found.shape == (1, 8, 16, 12)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@needs_mmpretrain
def test_every_weight_of_the_published_size_has_its_place(converter):
    size = dict(embed_dims=1280, num_layers=32, feedforward_channels=5120)
    weights = checkpoint('meta', **size)
    model = converter.vit()
    mine = model.prepare(official_weights({'state_dict': weights}, 'state_dict'))
    converted = convert_weights(mine, model_config(mine, model), model)
    count = sum(weight.numel() for weight in converted.values())
    assert count == 630_910_720


@needs_mmpretrain
@pytest.mark.parametrize('fault', ['missing', 'left over', 'is \\(8, 7\\)'])
def test_weights_that_do_not_fit_are_named(converter, fault):
    weights = checkpoint(**SMALL)
    name = 'backbone.blocks.1.attn.proj.weight'
    if fault == 'missing':
        del weights[name]
    elif fault == 'left over':
        weights['backbone.blocks.2.attn.proj.weight'] = torch.zeros(8, 8)
    else:
        weights[name] = torch.zeros(8, 7)
    model = converter.vit(SMALL)
    mine = model.prepare(weights)
    with pytest.raises(ConversionError, match=fault):
        convert_weights(mine, model_config(mine, model), model)


@needs_mmpretrain
def test_the_config_is_the_converted_models_backbone(converter):
    from mmpose.registry import MODELS

    config = Config.fromfile(CONFIG).model
    backbone = dict(config.backbone)
    assert backbone.pop('drop_path_rate') == 0.55
    ours = converter.vit().config({})
    assert {**ours, 'img_size': tuple(ours['img_size'])} == backbone
    with torch.device('meta'):
        model = MODELS.build(dict(config.backbone, drop_path_rate=0.0))
        first, end = config.crop_columns
        (features,) = model(torch.empty(1, 3, 256, end - first))
    assert features.shape == (1, 1280, 16, 12)


def test_other_files_are_refused(converter):
    prepare = converter.vit().prepare
    with pytest.raises(ConversionError, match='pos_embed'):
        prepare({'head.weight': torch.zeros(1)})
    weights = checkpoint(**SMALL)
    weights['backbone.pos_embed'] = weights['backbone.pos_embed'][:, 1:]
    with pytest.raises(ConversionError, match=r'\(1, 193, channels\), found \(1, 192'):
        prepare(weights)
