"""``tools/train.py`` and ``tools/test.py``: what works, and what they say if not."""

import functools
import importlib.util
import json
import multiprocessing
import os
import re
import signal
import socket
import sys

import pytest
import torch
from helpers import freihand
from helpers.tools import load_tool
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from safetensors.torch import save_file
from torch import nn

import mmssm.registry  # noqa: F401
from mmssm.datasets.datasets import FreiHAND3DDataset
from mmssm.utils.safe_pickle import load_checkpoint

train_tool, test_tool = load_tool('train'), load_tool('test')


@pytest.fixture(scope='module')
def trained(lifting_config, tmp_path_factory):
    """The working directory of a whole run."""
    folder = tmp_path_factory.mktemp('trained')
    train_tool.main([str(lifting_config), '--work-dir', str(folder)])
    return folder


def fails(tool, *arguments) -> str:
    """The message with which a tool ends."""
    with pytest.raises(SystemExit) as error:
        tool.main([str(argument) for argument in arguments])
    assert isinstance(error.value.code, str)
    return error.value.code


def losses(work_dir) -> list[float]:
    """The loss of every iteration, as the last checkpoint remembers it."""
    hub = load_checkpoint(work_dir / 'epoch_2.pth')['message_hub']
    return hub['log_scalars']['train/loss'].data[0].tolist()


def test_a_trained_checkpoint_is_tested(lifting_config, trained, tmp_path):
    out = tmp_path / 'metrics.json'
    checkpoint = trained / 'epoch_2.pth'
    arguments = [lifting_config, checkpoint, '--work-dir', tmp_path, '--out', out]
    test_tool.main([str(argument) for argument in arguments])
    assert json.loads(out.read_text())['MPJPE'] > 0
    assert (trained / 'last_checkpoint').read_text() == str(checkpoint)


def test_weights_as_they_are_published_are_tested_and_not_resumed(
    lifting_config, trained, tmp_path
):
    weights = tmp_path / 'weights.safetensors'
    save_file(load_checkpoint(trained / 'epoch_2.pth')['state_dict'], weights)
    results = []
    for checkpoint in (weights, trained / 'epoch_2.pth'):
        out = tmp_path / 'metrics.json'
        arguments = [lifting_config, checkpoint, '--work-dir', tmp_path, '--out', out]
        test_tool.main([str(argument) for argument in arguments])
        results.append(json.loads(out.read_text()))
    assert results[0] == results[1]
    message = fails(
        train_tool, lifting_config, '--work-dir', tmp_path, '--resume', weights
    )
    assert 'holds weights' in message and 'load_from' in message
    weights.write_bytes(weights.read_bytes()[:-100])
    message = fails(test_tool, lifting_config, weights, '--work-dir', tmp_path)
    assert 'not a whole safetensors file' in message


def forked(function, *arguments):
    """Starts a function in a process that has imported all that this one has."""
    process = multiprocessing.get_context('fork').Process(
        target=function, args=arguments
    )
    process.start()
    return process


class KillHook(Hook):
    """Ends the process in the middle of the second epoch."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.epoch == 1 and batch_idx == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def train_to_death(arguments):
    HOOKS.register_module(module=KillHook)
    train_tool.main(arguments)


def test_a_killed_run_resumes_to_the_same_loss(lifting_config, trained, tmp_path):
    work_dir = tmp_path / 'killed'
    killing = tmp_path / 'killing.py'
    killing.write_text(
        f"_base_ = {str(lifting_config)!r}\ncustom_hooks = [dict(type='KillHook')]\n"
    )
    process = forked(train_to_death, [str(killing), '--work-dir', str(work_dir)])
    process.join(timeout=300)
    assert process.exitcode == -signal.SIGKILL
    assert (work_dir / 'epoch_1.pth').exists()
    assert not (work_dir / 'epoch_2.pth').exists()
    train_tool.main([str(lifting_config), '--work-dir', str(work_dir), '--resume'])
    assert len(losses(trained)) > 6
    assert losses(work_dir) == pytest.approx(losses(trained), abs=1e-6)


def test_a_broken_newest_checkpoint_is_passed_over(
    lifting_config, trained, tmp_path, capsys
):
    for name in ('epoch_1.pth', 'epoch_2.pth', 'last_checkpoint'):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    newest = tmp_path / 'epoch_2.pth'
    newest.write_bytes(newest.read_bytes()[:5000])
    train_tool.main([str(lifting_config), '--work-dir', str(tmp_path), '--resume'])
    output = capsys.readouterr()
    assert f'Going on from {tmp_path / "epoch_1.pth"}' in output.out
    assert losses(tmp_path) == pytest.approx(losses(trained), abs=1e-6)


@pytest.mark.parametrize('tool', [train_tool, test_tool])
def test_help_is_worth_reading(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    text = capsys.readouterr().out
    assert '--cfg-options' in text
    assert 'dist_' in text


BAD_OPTIONS = {
    'a misspelt argument of the backbone': (
        ['model.backbone.embed_dim=16'],
        r"PoseMamba has no argument 'embed_dim' \(in the config: "
        r"model\.backbone\.embed_dim\); did you mean 'embed_dims'",
    ),
    'a misspelt argument of the head': (
        ['model.head.in_chanels=3'],
        r"no argument 'in_chanels'.*model\.head\.in_chanels",
    ),
    'a misspelt type': (
        ['model.backbone.type=mmssm.PoseManba'],
        r"mmssm\.PoseManba.*model\.backbone\.type.*did you mean 'PoseMamba'",
    ),
    'a missing data file': (
        ['train_dataloader.dataset.ann_file=no.npz'],
        r'(?s)train_dataloader\.dataset\.ann_file: .*no\.npz does not exist',
    ),
    'mixed precision by config': (
        ['optim_wrapper.type=AmpOptimWrapper'],
        'needs a GPU',
    ),
    'an option that does not fit': (['custom_hooks.7.x=2'], 'cfg-options'),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
@pytest.mark.parametrize('case', BAD_OPTIONS)
def test_bad_options_are_explained(lifting_config, tmp_path, case):
    options, expected = BAD_OPTIONS[case]
    arguments = [lifting_config, '--work-dir', tmp_path, '--cfg-options', *options]
    message = fails(train_tool, *arguments)
    assert re.search(expected, message), message


def test_a_model_of_a_package_that_is_not_installed_says_how_to_install_it(
    lifting_config, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, 'mmpretrain', None)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    options = [
        'model.backbone._delete_=True',
        'model.backbone.type=mmpretrain.VisionTransformer',
    ]
    message = fails(
        train_tool, lifting_config, '--work-dir', tmp_path, '--cfg-options', *options
    )
    assert 'model.backbone.type' in message
    assert 'pip install --no-deps mmpretrain' in message


def test_a_missing_config_or_checkpoint_is_named(lifting_config, tmp_path):
    assert 'no config file none.py' in fails(train_tool, 'none.py')
    message = fails(test_tool, lifting_config, tmp_path / 'none.pth')
    assert 'there is no checkpoint' in message
    message = fails(train_tool, lifting_config, '--resume', tmp_path / 'none.pth')
    assert 'there is no checkpoint' in message


def test_a_config_with_an_error_is_named(tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(\n')
    assert 'broken.py' in fails(train_tool, path)
    path.write_text("_base_ = './absent.py'\n")
    assert 'absent.py' in fails(train_tool, path)


def test_a_checkpoint_of_another_size_is_an_error(lifting_config, trained, tmp_path):
    options = [
        '--cfg-options',
        'model.backbone.embed_dims=32',
        'model.head.in_channels=32',
    ]
    checkpoint = trained / 'epoch_2.pth'
    for tool, arguments in (
        (test_tool, [lifting_config, checkpoint]),
        (train_tool, [lifting_config, '--resume', checkpoint]),
    ):
        message = fails(tool, *arguments, '--work-dir', tmp_path, *options)
        assert 'does not fit the model' in message
        assert 'size mismatch' in message


def test_a_truncated_or_hostile_checkpoint_is_an_error(
    lifting_config, trained, tmp_path
):
    path = tmp_path / 'cut.pth'
    path.write_bytes((trained / 'epoch_2.pth').read_bytes()[:9000])
    assert 'not a whole checkpoint' in fails(test_tool, lifting_config, path)
    torch.save({'state_dict': print}, path)
    assert 'could run code' in fails(test_tool, lifting_config, path)
    torch.save([1], path)
    assert 'not a checkpoint' in fails(test_tool, lifting_config, path)


def test_a_truncated_data_file_is_an_error(lifting_config, tmp_path):
    data = (lifting_config.parent / 'train.npz').read_bytes()
    (tmp_path / 'cut.npz').write_bytes(data[:-200])
    (tmp_path / 'empty.npz').write_bytes(b'')
    spoilt = bytearray(data)
    spoilt[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    (tmp_path / 'spoilt.npz').write_bytes(spoilt)
    for name, expected in (
        ('cut', 'cut short'),
        ('empty', 'is empty'),
        ('spoilt', 'cannot be read'),
    ):
        option = f'train_dataloader.dataset.ann_file={tmp_path / name}.npz'
        message = fails(
            train_tool, lifting_config, '--work-dir', tmp_path, '--cfg-options', option
        )
        assert expected in message, message


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_what_needs_a_gpu_says_so(lifting_config, tmp_path, monkeypatch):
    arguments = [lifting_config, '--work-dir', tmp_path]
    assert 'needs a GPU' in fails(train_tool, *arguments, '--amp')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
    assert 'CUDA_VISIBLE_DEVICES=0' in fails(train_tool, *arguments)


def test_output_names_are_checked_first(lifting_config):
    assert '--out' in fails(test_tool, lifting_config, 'x.pth', '--out', 'a.txt')
    assert '--dump' in fails(test_tool, lifting_config, 'x.pth', '--dump', 'a.txt')


def test_a_model_without_weights_names_the_command_that_trains_it():
    message = fails(test_tool, 'posemamba-s-h36m')
    assert 'mmssm train posemamba-s-h36m' in message
    assert 'mmssm convert posemamba' in message


def test_format_only_asks_every_metric_for_its_file(tmp_path):
    config = Config(dict(test_evaluator=[dict(type='A'), dict(type='B')]))
    config.test_evaluator[1].outfile_prefix = 'mine'
    arguments = ['c.py', 'x.pth', '--format-only', '--work-dir', str(tmp_path)]
    test_tool.merge_args(config, test_tool.parse_args(arguments))
    assert config.test_evaluator == [
        dict(type='A', format_only=True, outfile_prefix=str(tmp_path / 'pred')),
        dict(type='B', format_only=True, outfile_prefix='mine'),
    ]


def test_pictures_lie_where_the_command_line_says(
    lifting_config, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    args = test_tool.parse_args(
        [str(lifting_config), 'x.pth', '--show-dir', 'pictures']
    )
    config = test_tool.merge_args(Config.fromfile(lifting_config), args)
    hook = config.default_hooks.visualization
    assert hook.enable and hook.out_dir == str(tmp_path / 'pictures')


def test_a_nan_loss_ends_with_a_message(lifting_config, tmp_path):
    message = fails(
        train_tool,
        *[lifting_config, '--work-dir', tmp_path],
        *['--cfg-options', 'optim_wrapper.optimizer.lr=1e30'],
    )
    assert 'invalid_loss_iter_' in message
    assert list(tmp_path.glob('invalid_loss_iter_*_rank_0.pth'))


def test_what_a_dataset_refuses_is_told_without_a_traceback(
    lifting_config, tmp_path, monkeypatch
):
    contents = freihand.data()
    contents['xyz'][2] = contents['xyz'][2][:20]
    freihand.write(tmp_path, contents)
    path = tmp_path / 'hands.py'
    path.write_text(
        f'_base_ = {str(lifting_config)!r}\n'
        'train_dataloader = dict(dataset=dict(_delete_=True, '
        f"type='mmssm.FreiHAND3DDataset', data_root={str(tmp_path)!r}))\n"
    )
    arguments = [path, '--work-dir', tmp_path / 'run']
    assert 'training_xyz.json' in fails(train_tool, *arguments)
    option = 'train_dataloader.dataset.split=some'
    message = fails(train_tool, *arguments, '--cfg-options', option)
    assert "split must be 'training' or 'evaluation', got 'some'" in message
    # what is not raised in words is a bug
    monkeypatch.setattr(FreiHAND3DDataset, 'read', functools.partial(int, 'some'))
    with pytest.raises(ValueError, match='invalid literal'):
        train_tool.main([str(argument) for argument in arguments])


def test_a_bug_keeps_its_traceback(lifting_config, tmp_path, monkeypatch):
    def broken(config):
        raise TypeError('a bug')

    monkeypatch.setattr('mmssm.cli.train.add_safety_hooks', broken)
    with pytest.raises(TypeError, match='a bug'):
        train_tool.main([str(lifting_config), '--work-dir', str(tmp_path)])


def regression():
    """A model and four samples, the same each time."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return model, torch.randn(4, 3)


def share_of_gradients(rank, port, out):
    """What each of two processes does, started as ``torchrun`` starts them."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    init_dist('pytorch')
    model, data = regression()
    runner = Runner.__new__(Runner)
    runner._launcher, runner._distributed, runner.cfg = 'pytorch', True, {}
    wrapped = runner.wrap_model(None, model)
    wrapped(data[2 * rank : 2 * rank + 2]).square().mean().backward()
    if rank == 0:
        torch.save([p.grad for p in model.parameters()], out)
    torch.distributed.barrier()


def test_two_processes_give_the_gradients_of_one(tmp_path):
    out = tmp_path / 'gradients.pth'
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    workers = [forked(share_of_gradients, rank, port, out) for rank in range(2)]
    for worker in workers:
        worker.join(timeout=300)
        assert worker.exitcode == 0
    model, data = regression()
    model(data).square().mean().backward()
    gradients = torch.load(out, weights_only=True)
    torch.testing.assert_close(gradients, [p.grad for p in model.parameters()])
