"""Fixtures of the op tests."""

import pytest

import mmssm.ops
from mmssm.ops import _library


def skip_without_kernels():
    obstacle = _library.obstacle('cpu')
    if obstacle is not None:
        pytest.skip(obstacle)


@pytest.fixture
def native():
    """Runs the test on the compiled kernels."""
    skip_without_kernels()
    with mmssm.ops.backend('native'):
        yield


@pytest.fixture(params=['native', 'reference'])
def implementation(request):
    """Runs the test on both implementations."""
    if request.param == 'native':
        skip_without_kernels()
    with mmssm.ops.backend(request.param):
        yield request.param
