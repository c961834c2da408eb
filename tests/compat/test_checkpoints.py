"""MMEngine reads its own checkpoints, and no code of anyone's."""

import copy
import os
import pickle

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, _load_checkpoint

import mmssm.registry  # noqa: F401


class Gadget:
    def __init__(self, marker):
        self.command = f'touch {marker}'

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def cached_url(tmp_path, monkeypatch):
    """A URL whose file PyTorch takes from its cache; writes it too."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)

    def write(data):
        torch.save(data, tmp_path / 'hub' / 'checkpoints' / 'model.pth')
        return 'https://example.org/model.pth'

    return write


@pytest.fixture
def file(tmp_path):
    def write(data):
        torch.save(data, tmp_path / 'model.pth')
        return str(tmp_path / 'model.pth')

    return write


@pytest.fixture(params=['file', 'cached_url'])
def place(request):
    return request.getfixturevalue(request.param)


def test_logs_and_weights_are_read(place):
    path = place({'state_dict': {'w': torch.ones(2)}, 'log': HistoryBuffer([1.0], [1])})
    checkpoint = _load_checkpoint(path, map_location='cpu')
    torch.testing.assert_close(checkpoint['state_dict']['w'], torch.ones(2))
    assert checkpoint['log'].mean() == 1.0


def test_code_is_refused(place, tmp_path):
    path = place({'state_dict': {}, 'meta': Gadget(tmp_path / 'ran')})
    with pytest.raises(pickle.UnpicklingError):
        _load_checkpoint(path)
    assert not (tmp_path / 'ran').exists()


def test_config_text_that_mmengine_would_execute_is_dropped(place):
    path = place({'meta': {'config': 'import os', 'epoch': 3}})
    assert _load_checkpoint(path)['meta'] == {'epoch': 3}


def test_a_missing_file_is_reported_as_before():
    with pytest.raises(FileNotFoundError, match=r'absent\.pth can not be found'):
        CheckpointLoader.load_checkpoint('absent.pth')


def test_a_history_is_pickled_as_data_and_works_as_before():
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    data = pickle.dumps(history)
    assert b'getattr' not in data
    for copied in (pickle.loads(data), copy.deepcopy(history)):
        assert copied.statistics('mean') == 2.0
        copied.update(5.0)
        assert copied.current() == 5.0
