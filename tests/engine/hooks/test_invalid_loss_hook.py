"""Training stops at a loss that is not a number, with the batch on disk."""

import numpy as np
import pytest
import torch
from helpers.training import runner, train
from mmengine.hooks import Hook
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

import mmssm.registry  # noqa: F401
from mmssm.engine.hooks.invalid_loss_hook import (
    InvalidLossError,
    InvalidLossHook,
    to_plain,
)


class PoisonHook(Hook):
    """Puts a value into the batch of one iteration."""

    def __init__(self, value):
        self.value = value

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 5:
            data_batch['inputs'][2][0] = self.value


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_the_batch_is_saved_and_no_spoilt_checkpoint_is_written(tmp_path, value):
    run = runner(tmp_path, hooks=[PoisonHook(value)])
    torch.nn.init.ones_(run.model.layer[1].weight)
    with pytest.raises(InvalidLossError, match='iteration 6 of epoch 2') as error:
        train(run)
    path = tmp_path / 'invalid_loss_iter_6_rank_0.pth'
    assert str(path) in str(error.value)
    record = torch.load(path, weights_only=True)
    assert (record['iter'], record['epoch']) == (6, 2)
    assert not np.isfinite(record['losses']['loss'])
    assert not record['batch']['inputs'][2].isfinite().all()
    assert [p.name for p in tmp_path.glob('epoch_*.pth')] == ['epoch_1.pth']


def test_a_batch_of_poses_becomes_plain_data(tmp_path):
    sample = PoseDataSample(metainfo={'id': 3, 'camera_param': {'f': np.ones(2)}})
    sample.gt_instances = InstanceData(keypoints=np.zeros((1, 17, 2), np.float32))
    batch = {
        'data_samples': [sample],
        'names': np.array(['a', 'b']),
        'count': np.int64(3),
        'other': {1, 2},
        'function': len,
        'nothing': None,
    }
    plain = to_plain(batch)
    torch.save(plain, tmp_path / 'batch.pth')
    read = torch.load(tmp_path / 'batch.pth', weights_only=True)
    assert read['data_samples'][0]['gt_instances']['keypoints'].shape == (1, 17, 2)
    assert read['data_samples'][0]['camera_param']['f'].tolist() == [1, 1]
    assert read['names'] == ['a', 'b']
    assert (read['count'], read['other'], read['nothing']) == (3, [1, 2], None)
    assert 'len' in read['function']


@pytest.mark.filterwarnings('error')
def test_good_losses_pass_quietly():
    """Losses still know their graph, and may be plain numbers."""
    loss = torch.ones((), requires_grad=True) * 2
    InvalidLossHook().after_train_iter(None, 0, None, {'loss': loss, 'loss_x': 1.0})
