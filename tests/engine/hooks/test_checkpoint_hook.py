"""There is always a whole checkpoint, and never too many."""

import errno
import os

import pytest
import torch
from helpers.training import runner, train

import mmssm.registry  # noqa: F401
from mmssm.engine.checkpoint_files import find_resumable
from mmssm.utils import whole_files
from mmssm.utils.safe_pickle import load_checkpoint
from mmssm.utils.whole_files import FileNotWrittenError

BEST = {'save_best': 'random/score', 'rule': 'greater'}


def checkpoints(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def test_old_checkpoints_and_old_best_ones_go(tmp_path):
    train(runner(tmp_path, checkpoint={'max_keep_ckpts': 2, **BEST}))
    assert checkpoints(tmp_path) == [
        'best_random_score_epoch_4.pth',
        'epoch_3.pth',
        'epoch_4.pth',
    ]
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_4.pth')
    hub = load_checkpoint(tmp_path / 'epoch_4.pth')['message_hub']
    assert hub['runtime_info']['keep_ckpt_ids'] == [3, 4]
    assert not list(tmp_path.glob('.*.partial'))


def test_a_best_checkpoint_that_stays_best_is_kept(tmp_path):
    lower = {'save_best': 'random/score', 'rule': 'less', 'max_keep_ckpts': 1}
    train(runner(tmp_path, checkpoint=lower, length=2))
    assert checkpoints(tmp_path) == ['best_random_score_epoch_1.pth', 'epoch_2.pth']


def test_several_best_checkpoints_are_kept_apart(tmp_path):
    both = {'save_best': ['random/score', 'random/decline'], 'rule': 'greater'}
    train(runner(tmp_path, checkpoint=both | {'max_keep_ckpts': 1}, length=2))
    assert checkpoints(tmp_path) == [
        'best_random_decline_epoch_1.pth',
        'best_random_score_epoch_2.pth',
        'epoch_2.pth',
    ]


@pytest.mark.parametrize('step', ['write', 'fsync', 'replace'])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, step):
    one = {'max_keep_ckpts': 1, **BEST}
    train(runner(tmp_path, checkpoint=one, length=1))
    before = {path.name: path.read_bytes() for path in tmp_path.glob('*.pth')}

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class FullFile:
        def __init__(self, *args):
            self.file = open(*args)  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, data):
            self.file.write(data[: len(data) // 2])
            fail()

    if step == 'write':
        monkeypatch.setattr(whole_files, 'open', FullFile, raising=False)
    else:
        monkeypatch.setattr(whole_files.os, step, fail)
    path, _ = find_resumable(tmp_path)
    with pytest.raises(FileNotWrittenError, match=r'No space left.*with --resume'):
        train(runner(tmp_path, checkpoint=one, load_from=str(path), resume=True))
    after = {path.name: path.read_bytes() for path in tmp_path.glob('*.pth')}
    assert after == before
    assert not list(tmp_path.glob('.*.partial'))
    assert find_resumable(tmp_path)[0] == tmp_path / 'epoch_1.pth'


def test_a_real_full_disk(tmp_path):
    """A file system of 64 kB, where this process may mount one."""
    folder = tmp_path / 'small'
    folder.mkdir()
    if os.system(f'mount -t tmpfs -o size=64k tmpfs {folder} 2>/dev/null'):
        pytest.skip('needs the right to mount a file system')
    try:
        whole_files.write_atomically(folder / 'a.pth', b'old')
        with pytest.raises(FileNotWrittenError, match='No space left'):
            whole_files.write_atomically(folder / 'a.pth', bytes(100_000))
        assert [path.name for path in folder.iterdir()] == ['a.pth']
        assert (folder / 'a.pth').read_bytes() == b'old'
    finally:
        os.system(f'umount {folder}')


def test_the_last_whole_checkpoint_is_found(tmp_path, caplog):
    assert find_resumable(tmp_path) is None
    train(runner(tmp_path, checkpoint=BEST, length=3))
    assert find_resumable(tmp_path)[0].name == 'epoch_3.pth'
    newest = tmp_path / 'epoch_3.pth'
    newest.write_bytes(newest.read_bytes()[:-100])
    torch.save({'state_dict': {}}, tmp_path / 'weights_only.pth')
    path, checkpoint = find_resumable(tmp_path)
    assert path.name == 'epoch_2.pth'
    assert checkpoint['meta']['epoch'] == 2
    (tmp_path / 'last_checkpoint').unlink()
    assert find_resumable(tmp_path)[0].name == 'epoch_2.pth'


def test_a_moved_working_directory_is_resumed(tmp_path):
    train(runner(tmp_path / 'old', length=1))
    (tmp_path / 'old').rename(tmp_path / 'new')
    assert find_resumable(tmp_path / 'new')[0] == tmp_path / 'new' / 'epoch_1.pth'


def test_file_client_args_are_refused(tmp_path):
    hook = {'file_client_args': {'backend': 'disk'}}
    with pytest.raises(ValueError, match='backend_args'):
        train(runner(tmp_path, checkpoint=hook))
