"""Backbones in MMPose's own configs: built at full size, and small copies train."""

import pytest
import torch
from helpers.configs import metafile_models, read
from helpers.drop_ins import batch_of, drop_in_configs, shrink_model
from mmengine.hub import get_config
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis.complexity import count

FOLDERS = ('df_mamba', 'vmamba')
CONFIGS = [path for folder in FOLDERS for path in drop_in_configs(folder)]


@pytest.mark.parametrize('folder', FOLDERS)
def test_every_kind_of_head_has_an_example(folder):
    paths = drop_in_configs(folder)
    heads = {read(path).model.head.type for path in paths}
    assert heads == {'HeatmapHead', 'RTMCCHead', 'InternetHead'}
    assert len(paths) == 4


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_built_and_counted(path):
    config = read(path)
    described = metafile_models()[path.stem]['Metadata']
    width, height = config.codec.get('input_size') or config.codec.image_size
    with torch.device('meta'):
        model = MODELS.build(config.model)
        inputs = torch.empty(1, 3, height, width)
    model.forward = model._forward
    counted = count(model.eval(), inputs)
    assert counted.params == described['Parameters']
    assert counted.macs / 1e9 == pytest.approx(described['MACs (G)'], abs=1e-3)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_small_copy_takes_a_step_and_predicts(path):
    torch.manual_seed(0)
    config = read(path)
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


STOCK = 'mmpose::hand_2d_keypoint/topdown_heatmap/'
VMAMBA = {'type': 'mmssm.VMamba', 'arch': 'tiny', 'out_indices': (3,)}
DF_MAMBA = {'type': 'mmssm.DFMamba', 'arch': 'a', 'out_indices': (5,)}
INTERNET_HEADS = ('keypoint_head_cfg', 'root_head_cfg', 'hand_type_head_cfg')


@pytest.mark.parametrize(
    'name, stock, backbone, head',
    [
        (
            'td-hm_vmamba-tiny_8xb64-100e_freihand2d-224x224',
            STOCK + 'freihand2d/td-hm_res50_8xb64-100e_freihand2d-224x224.py',
            VMAMBA,
            {'in_channels': 768},
        ),
        (
            'td-hm_df-mamba-a_8xb64-100e_freihand2d-224x224',
            STOCK + 'freihand2d/td-hm_res50_8xb64-100e_freihand2d-224x224.py',
            DF_MAMBA,
            {'in_channels': 640},
        ),
        (
            'td-hm_df-mamba-a-pyramid_8xb32-210e_coco-wholebody-hand-256x256',
            STOCK + 'coco_wholebody_hand/'
            'td-hm_hrnetv2-w18_8xb32-210e_coco-wholebody-hand-256x256.py',
            {'type': 'mmssm.DFMamba', 'arch': 'a'},
            {'in_channels': 1200},
        ),
        (
            'rtmpose_df-mamba-a_8xb32-210e_coco-wholebody-hand-256x256',
            'mmpose::hand_2d_keypoint/rtmpose/coco_wholebody_hand/'
            'rtmpose-m_8xb32-210e_coco-wholebody-hand-256x256.py',
            DF_MAMBA,
            {'in_channels': 640},
        ),
        (
            'internet_df-mamba-a_4xb16-20e_interhand3d-256x256',
            'mmpose::hand_3d_keypoint/internet/interhand3d/'
            'internet_res50_4xb16-20e_interhand3d-256x256.py',
            DF_MAMBA,
            {f'{part}.in_channels': 640 for part in INTERNET_HEADS},
        ),
    ],
)
def test_by_options_alone(name, stock, backbone, head):
    """What the docs give for ``--cfg-options`` of a stock config."""
    ours = read(next(path for path in CONFIGS if path.stem == name))
    stock = get_config(stock)
    options = {f'model.head.{key}': value for key, value in head.items()}
    options |= {f'model.backbone.{key}': value for key, value in backbone.items()}
    stock.merge_from_dict({'model.backbone._delete_': True, **options})
    for model in (stock.model, ours.model):
        model.pop('_scope_', None)  # MMEngine marks what comes from a package
    assert stock.model == ours.model
