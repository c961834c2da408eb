import copy

import pytest
from helpers.modules import ROOT
from mmengine.config import Config

import mmssm.registry  # noqa: F401
from mmssm.engine.time_budget import iterations_within
from mmssm.utils.errors import UserError


@pytest.fixture
def config():
    config = Config.fromfile(
        ROOT / 'configs/body_3d_keypoint/posemamba/mocap'
        '/posemamba_xs-27frm_1xb4_mocap-fold0.py'
    )
    config.model.backbone.update(embed_dims=16, depth=1)
    config.model.head.in_channels = 16
    config.train_dataloader.update(
        batch_size=1, num_workers=0, persistent_workers=False
    )
    config.train_dataloader.dataset.update(seq_len=3, views=1)
    return config


def test_iterations_grow_with_the_time_and_nothing_is_left_behind(
    config, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = copy.deepcopy(config.to_dict())
    many = iterations_within(config, 1e6, probe=4, warmup=2)
    assert many > 1000
    assert iterations_within(config, 1e-9, probe=4, warmup=2) == 1
    assert config.to_dict() == before
    assert not list(tmp_path.iterdir())


def test_training_by_epochs_is_refused(config):
    config.train_cfg = {'by_epoch': True, 'max_epochs': 1}
    with pytest.raises(UserError, match='IterBasedTrainLoop'):
        iterations_within(config, 60)
