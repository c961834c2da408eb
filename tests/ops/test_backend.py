"""Tests of the choice between implementations."""

import warnings

import pytest
import torch

import mmssm.ops
from mmssm.ops import ScanPaths, _backend, _library, path_scan, selective_scan

U = torch.ones(1, 1, 4)
WEIGHT = torch.ones(1, 1, 4)
A = -torch.ones(1, 1)


def scan():
    return selective_scan(U, U, A, WEIGHT, WEIGHT)


def walk():
    paths = ScanPaths([[0, 1, 2, 3]], [(0, 0, False)])
    x = torch.ones(1, 4, 1)
    weight = torch.ones(1, 1, 4, 1)
    return path_scan(x, weight, -torch.ones(1, 1, 1), weight, weight, None, None, paths)


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.setattr(_library, '_loaded', _library._Loaded(None, 'the dog ate it'))
    monkeypatch.setattr(_backend, '_has_warned', False)
    monkeypatch.setattr(_backend, '_native_required', False)


def test_blocks_nest_and_end():
    before = _backend.requested()
    with mmssm.ops.backend('reference'):
        assert _backend.requested()[0] == 'reference'
        with mmssm.ops.backend('auto'):
            assert _backend.requested()[0] == 'auto'
        assert _backend.requested()[0] == 'reference'
    assert _backend.requested() == before
    with pytest.raises(KeyError), mmssm.ops.backend('reference'):
        raise KeyError
    assert _backend.requested() == before


def test_unknown_backend(monkeypatch):
    with (
        pytest.raises(ValueError, match=r"'fast', expected one of auto, native"),
        mmssm.ops.backend('fast'),
    ):
        pass
    monkeypatch.setattr(_backend, '_requested', 'fast')
    with pytest.raises(ValueError, match=r"MMSSM_BACKEND asks for the backend 'fast'"):
        scan()


def test_warns_once_and_computes_the_same(no_library):
    with pytest.warns(RuntimeWarning, match='plain PyTorch.*the dog ate it') as caught:
        out = scan()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        walk()
        assert torch.equal(scan(), out)


def test_native_is_an_error_where_it_is_missing(no_library, monkeypatch):
    with (
        mmssm.ops.backend('native'),
        pytest.raises(RuntimeError, match=r"backend 'native': the dog ate it"),
    ):
        walk()
    monkeypatch.setattr(_backend, '_native_required', True)
    with pytest.raises(RuntimeError, match='MMSSM_REQUIRE_NATIVE is set: the dog ate'):
        scan()
    with mmssm.ops.backend('reference'):
        scan()


def test_reference_by_name_does_not_warn(no_library):
    with warnings.catch_warnings(), mmssm.ops.backend('reference'):
        warnings.simplefilter('error')
        scan()


def test_a_device_without_kernels(monkeypatch):
    monkeypatch.setattr(_library, '_loaded', _library._Loaded(None, None))
    assert _library.obstacle('cpu') is None
    assert _library.obstacle('xpu') == 'the library has no kernels for xpu tensors'
    assert 'no kernels for CUDA (skipped, ' in _library.obstacle('cuda')
    _library._loaded.cuda = 'CUDA 13.0 for 9.0'
    assert _library.obstacle('cuda') is None
