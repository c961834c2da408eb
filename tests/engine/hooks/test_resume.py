"""A run that was stopped ends as the one that was not."""

import pytest
import torch
from helpers.training import losses, runner, train
from mmengine.hooks import Hook

import mmssm.registry  # noqa: F401
from mmssm.engine.checkpoint_files import find_resumable
from mmssm.utils.safe_pickle import load_checkpoint


class Crash(Exception):
    pass


class CrashHook(Hook):
    """Dies in mid-iteration."""

    def __init__(self, at):
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            raise Crash


@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_resumed_run_repeats_the_uninterrupted_one(tmp_path, by_epoch, num_workers):
    settings = {'by_epoch': by_epoch, 'num_workers': num_workers}
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    train(runner(whole, **settings))
    with pytest.raises(Crash):
        train(runner(broken, hooks=[CrashHook(at=10)], **settings))
    path, checkpoint = find_resumable(broken)
    assert checkpoint['meta']['iter'] == (8 if by_epoch else 9)
    torch.rand(5)  # a new process is not where the old one was
    train(runner(broken, load_from=str(path), resume=True, **settings))

    expected, found = losses(whole), losses(broken)
    assert len(expected) == 16
    assert found.keys() == expected.keys()
    for step, loss in expected.items():
        assert found[step] == pytest.approx(loss, abs=1e-6)
    last = 'epoch_4.pth' if by_epoch else 'iter_16.pth'
    a, b = load_checkpoint(whole / last), load_checkpoint(broken / last)
    for part in ('state_dict', 'ema_state_dict'):
        torch.testing.assert_close(b[part], a[part])
    torch.testing.assert_close(b['optimizer']['state'], a['optimizer']['state'])
    assert b['param_schedulers'] == a['param_schedulers']


def test_epochs_differ_in_their_augmentation(tmp_path):
    seen = []

    class Recorder(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            seen.append(torch.stack(data_batch['inputs'])[:, 0].frac())

    train(runner(tmp_path, num_workers=2, length=2, hooks=[Recorder()]))
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert not torch.isclose(first.sort()[0], second.sort()[0]).any()
    assert len(first.unique()) == 16
