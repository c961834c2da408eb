"""Sweeps over spoilt input, on the embedded data and a tiny model."""

import numpy as np
import pytest
import torch
from helpers.modules import ROOT
from mmengine.config import Config
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis.robustness import SWEEPS, evaluate, spoil, sweep

FOLDER = ROOT / 'configs/body_3d_keypoint/posemamba/mocap'


@pytest.fixture(scope='module')
def config():
    config = Config.fromfile(FOLDER / 'posemamba_xs-27frm_1xb4_mocap-fold0.py')
    config.val_dataloader.dataset.indices = 3
    config.model.test_cfg.flip_test = False
    config.model.backbone.update(embed_dims=16, depth=1)
    config.model.head.in_channels = 16
    return config


class Flat(torch.nn.Module):
    """In the place of a network: x and y as they are, no depth."""

    def forward(self, x):
        flat = x[..., :2] - x[:, :, :1, :2]
        return torch.cat([flat, torch.zeros_like(x[..., :1])], -1)


@pytest.fixture(scope='module')
def model(config):
    """A lifter that takes what it sees for the pose."""
    model = MODELS.build(config.model)
    model.backbone = Flat()
    model.head.forward = lambda features: features
    return model


def test_errors_grow_with_the_fault(config, model):
    seen = []
    result = sweep(config, model, 'noise', (0, 8, 40), lambda *at: seen.append(at))
    assert result.levels == (0, 8, 40) and 'pixels' in result.title
    errors = result.metrics['MPJPE']
    assert errors[0] < errors[1] < errors[2]
    assert [level for level, _ in seen] == [0, 8, 40]
    assert seen[2][1]['MPJPE'] == errors[2]


@pytest.mark.parametrize('name', ['joints', 'frames'])
def test_lost_detections_cost_something(config, model, name):
    errors = sweep(config, model, name, (0, 0.9)).metrics['MPJPE']
    assert errors[0] < errors[1]


def test_no_fault_is_the_evaluation_of_the_config(config, model):
    expected = evaluate(config, model)
    for name in SWEEPS:
        found = sweep(config, model, name, (0,)).metrics
        assert {key: values[0] for key, values in found.items()} == expected


def test_the_same_fault_twice_is_the_same_error(config, model):
    first, second = (sweep(config, model, 'frames', (0.5,)) for _ in range(2))
    assert first == second


def test_what_is_spoilt_comes_on_top_of_the_noise_there_is(config):
    spoilt = spoil(config, dict(type='mmssm.LostDetections'))
    steps = [step['type'] for step in spoilt.val_dataloader.dataset.pipeline]
    assert steps[:3] == [
        'mmssm.DetectorNoise',
        'mmssm.LostDetections',
        'GenerateTarget',
    ]
    unchanged = [step['type'] for step in config.val_dataloader.dataset.pipeline]
    assert 'mmssm.LostDetections' not in unchanged


def test_the_model_is_left_as_it_was(config, model):
    model.train()
    evaluate(config, model)
    assert model.training
    model.eval()


def test_levels_begin_with_the_undisturbed_data():
    for chosen in SWEEPS.values():
        assert chosen.levels[0] == 0
        assert (np.diff(chosen.levels) > 0).all()


def test_wrong_sweeps_and_pipelines_are_refused(config, model):
    with pytest.raises(ValueError, match=r"no sweep 'weather'.*noise"):
        sweep(config, model, 'weather')
    bare = Config(dict(val_dataloader=dict(dataset=dict(pipeline=[dict(type='A')]))))
    with pytest.raises(ValueError, match=r"no GenerateTarget.*\['A'\]"):
        spoil(bare, None)
