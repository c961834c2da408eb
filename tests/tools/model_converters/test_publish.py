import pytest
import torch
from helpers.modules import ROOT, load_script
from mmengine.config import Config
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis import build_from_checkpoint, load_checkpoint

CONFIG = (
    ROOT
    / 'configs/body_3d_keypoint/posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py'
)


@pytest.mark.parametrize('suffix', ['.safetensors', '.pth'])
def test_published_file_builds_the_model_that_was_trained(tmp_path, suffix):
    model = MODELS.build(Config.fromfile(CONFIG).model)
    trained = {
        'state_dict': model.state_dict(),
        'ema_state_dict': {'steps': torch.tensor(1)},
        'optimizer': {'state': {}, 'param_groups': []},
        'meta': {'iter': 7, 'cfg': 'import os'},
    }
    torch.save(trained, tmp_path / 'iter_7.pth')
    destination = tmp_path / f'published{suffix}'
    tool = load_script('tools/model_converters/publish.py')
    tool.main([str(CONFIG), str(tmp_path / 'iter_7.pth'), str(destination)])

    _, meta = load_checkpoint(destination)
    assert meta['iterations'] == 7 and set(meta) == {'model', 'config', 'iterations'}
    built = build_from_checkpoint(destination)
    for name, tensor in model.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor)


MESHES = """
model = dict(
    type='mmssm.HandMeshEstimator',
    backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=2),
    head=dict(type='mmssm.MANOHead', in_channels=16, hidden_dims=(8,)),
    prior=dict(type='mmssm.HandPosePrior'),
    test_cfg=dict(tta_scales=(0.9, 1.0), tta_rotations=(-10, 0, 10)),
)
"""


def test_a_published_hand_is_without_the_prior_it_was_trained_against(tmp_path):
    config = tmp_path / 'meshes.py'
    config.write_text(MESHES)
    model = MODELS.build(Config.fromfile(config).model)
    trained = {'state_dict': model.state_dict(), 'meta': {'iter': 7}}
    torch.save(trained, tmp_path / 'iter_7.pth')
    destination = tmp_path / 'published.safetensors'
    tool = load_script('tools/model_converters/publish.py')
    tool.main([str(config), str(tmp_path / 'iter_7.pth'), str(destination)])
    built = build_from_checkpoint(destination)
    assert built.prior is None and len(built.views) == 6
    expected = {k: v for k, v in model.state_dict().items() if 'prior' not in k}
    assert list(built.state_dict()) == list(expected)
    for name, tensor in built.state_dict().items():
        assert torch.equal(tensor, expected[name])
