"""Every row of Hamba's Tables 4 and S1 is a config; small copies train."""

import copy
import functools

import pytest
import torch
from helpers import hand_meshes
from helpers.configs import metafile_models
from helpers.modules import ROOT
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401

FOLDER = ROOT / 'configs/hand_mesh/hamba/mixture/ablations'
ABLATIONS = sorted(FOLDER.glob('*.py'))

# What a row changes in the head.
ROWS = {
    'wo-tokens-branch': dict(fusion=('gss', 'joints', 'global')),
    'wo-joints-branch': dict(fusion=('gss', 'global', 'tokens')),
    'wo-gss-branch': dict(fusion=('joints', 'global', 'tokens')),
    'wo-global-branch': dict(fusion=('gss', 'joints', 'tokens')),
    'wo-token-sampler': dict(token_sampler=False, fusion=('gss', 'joints', 'global')),
    'one-way': dict(bidirectional=False),
    'wo-gcn': dict(graph_conv=False),
    'wo-scan': dict(gss_depth=0),
    'attention': dict(mixer='attention'),
}


def row_of(path):
    """``one-way`` of ``hamba_vit-h-one-way_2xb28-60k_....py``."""
    return path.stem.split('_')[1].removeprefix('vit-h-')


@functools.cache
def parsed(path):
    return Config.fromfile(path)


def config_of(path):
    return copy.deepcopy(parsed(path))


def base_of(path):
    return config_of(FOLDER.parent / path.name.replace('-' + row_of(path), '', 1))


def test_every_row_is_there():
    assert {row_of(path) for path in ABLATIONS} == {*ROWS, 'shuffled'}


@pytest.mark.parametrize('path', ABLATIONS, ids=row_of)
def test_a_row_changes_the_head_alone(path):
    ours, base = config_of(path).to_dict(), base_of(path).to_dict()
    head, base_head = ours['model'].pop('head'), base['model'].pop('head')
    assert ours == base
    if row_of(path) == 'shuffled':
        order = head.pop('scan_order')
        assert sorted(order) == list(range(21)) and list(order) != sorted(order)
        assert head == base_head
        return
    assert head == base_head | ROWS[row_of(path)]


@functools.cache
def described_models():
    return metafile_models()


def vit_huge(dims=1280, layers=32, hidden=5120):
    """Parameters of ViT-H/16 on 256 x 192 pixels without class token."""
    patches = 3 * 16 * 16 * dims + dims + 16 * 12 * dims
    attention = 4 * (dims * dims + dims)
    mlp = 2 * dims * hidden + hidden + dims
    return patches + layers * (attention + mlp + 4 * dims) + 2 * dims


def test_the_backbone_has_the_published_size():
    assert round(vit_huge() / 1e6, 2) == 630.91


@pytest.mark.parametrize('path', ABLATIONS, ids=row_of)
def test_built_and_counted(path):
    config = config_of(path).model.head
    config.mano.model = None  # MANO is not here
    with torch.device('meta'):
        head = MODELS.build(config)
    count = sum(parameter.numel() for parameter in head.parameters())
    described = described_models()[path.stem]['Metadata']
    assert described['Parameters'] == count + vit_huge()


def shrink(model):
    """A model whose backbone sees 48 of 64 columns, as wide maps as high ones."""
    model.backbone = dict(
        type='ResNet',
        depth=18,
        stem_channels=8,
        base_channels=4,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    )
    model.crop_columns = (8, 56)
    model.head.update(
        in_channels=16,
        embed_dims=8,
        regressor_depths=(1,),
        num_gss=2,
        feat_size=(4, 3),
        crop_size=64,
        crop_columns=(8, 56),
    )
    model.head.setdefault('gss_depth', 1)
    model.head.mano.model = None
    return model


@pytest.mark.parametrize('path', ABLATIONS, ids=row_of)
def test_a_small_copy_takes_a_step(path):
    torch.manual_seed(0)
    model = MODELS.build(shrink(config_of(path).model)).train()
    labels = hand_meshes.labels(2, dtype=torch.float32)
    samples = []
    for number in range(2):
        sample = PoseDataSample(metainfo=dict(input_size=(64, 64)))
        sample.gt_instance_labels = InstanceData(
            **{name: value[number, None] for name, value in labels.items()}
        )
        samples.append(sample)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, weight_decay=0)
    loss, _ = model.parse_losses(model(torch.randn(2, 3, 64, 64), samples, mode='loss'))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    same = [name for name, p in trained.items() if torch.equal(before[name], p)]
    assert not same
