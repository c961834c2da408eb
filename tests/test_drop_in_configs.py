"""Backbones in MMPose's own configs: built at full size, and small copies train."""

import pytest
import torch
from helpers.configs import metafile_models
from helpers.drop_ins import drop_in_configs, piped_sample, shrink_model
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count

CONFIGS = drop_in_configs('vmamba')


def test_every_kind_of_head_has_an_example():
    heads = {Config.fromfile(path).model.head.type for path in CONFIGS}
    assert heads == {'HeatmapHead', 'RTMCCHead', 'InternetHead'}
    assert len(CONFIGS) == 4


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_built_and_counted(path):
    config = Config.fromfile(path)
    described = metafile_models()[path.stem]['Metadata']
    width, height = config.codec.get('input_size') or config.codec.image_size
    with torch.device('meta'):
        model = MODELS.build(config.model)
        inputs = torch.empty(1, 3, height, width)
    model.forward = model._forward
    counted = count(model.eval(), inputs)
    assert counted.params == described['Parameters']
    assert counted.macs / 1e9 == pytest.approx(described['MACs (G)'], abs=1e-3)


def batch_of(model, config, phase):
    samples = [piped_sample(config, phase, seed) for seed in range(2)]
    return model.data_preprocessor(pseudo_collate(samples), training=phase == 'train')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_small_copy_takes_a_step_and_predicts(path):
    torch.manual_seed(0)
    config = Config.fromfile(path)
    shrink_model(config.model)
    model = MODELS.build(config.model).train()
    data = batch_of(model, config, 'train')
    backbone = list(model.backbone.parameters())
    before = [p.detach().clone() for p in backbone]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    for old, new in zip(before, backbone, strict=True):
        assert not torch.equal(old, new)
    with torch.no_grad():
        predicted = model.eval()(**batch_of(model, config, 'val'), mode='predict')
    keypoints = predicted[0].pred_instances.keypoints
    assert keypoints.shape[1] in (21, 42)


def test_by_options_alone():
    """What the docs give for ``--cfg-options`` of a stock config."""
    name = 'td-hm_vmamba-tiny_8xb64-100e_freihand2d-224x224'
    ours = Config.fromfile(next(path for path in CONFIGS if path.stem == name))
    stock = get_config(
        'mmpose::hand_2d_keypoint/topdown_heatmap/freihand2d/'
        'td-hm_res50_8xb64-100e_freihand2d-224x224.py'
    )
    stock.merge_from_dict(
        {
            'model.backbone._delete_': True,
            'model.backbone.type': 'mmssm.VMamba',
            'model.backbone.arch': 'tiny',
            'model.backbone.out_indices': (3,),
            'model.head.in_channels': 768,
        }
    )
    for model in (stock.model, ours.model):
        model.pop('_scope_', None)  # MMEngine marks what comes from a package
    assert stock.model == ours.model
