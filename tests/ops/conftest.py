"""Fixtures of the op tests.

A test that takes one of them runs on every device there is: what it makes, it makes on
the default device, which is the device of the test. ``MMSSM_TEST_DEVICES`` names the
devices (``cuda``, ``cpu,cuda``) in the place of all there are.
"""

import contextlib
from collections.abc import Iterator

import pytest
import torch
from helpers.devices import devices

import mmssm.ops
from mmssm.ops import _backend, _library


@contextlib.contextmanager
def running_on(device: str, backend: str) -> Iterator[None]:
    """Makes a device and a backend the default; skips where there are no kernels.

    Where ``MMSSM_REQUIRE_NATIVE`` is set, missing kernels are a failure.
    """
    obstacle = None
    if backend == 'native':
        obstacle = _library.obstacle(torch.device(device).type)
    if obstacle is not None:
        (pytest.fail if _backend.native_required() else pytest.skip)(obstacle)
    before = torch.get_default_device()
    # On a CPU, tests run as users do, without any default.
    changes = device != before.type
    if changes:
        torch.set_default_device(device)
    try:
        with mmssm.ops.backend(backend):
            yield
    finally:
        if changes:
            torch.set_default_device(None if before.type == 'cpu' else before)


@pytest.fixture(params=devices())
def native(request):
    """Runs the test on the compiled kernels of each device."""
    with running_on(request.param, 'native'):
        yield request.param


@pytest.fixture
def native_on_cpu():
    """Runs the test on the compiled kernels of the CPU alone.

    For what only a CPU has: threads, forked workers, instruction sets.
    """
    with running_on('cpu', 'native'):
        yield


@pytest.fixture(
    params=[(device, kind) for device in devices() for kind in ('native', 'reference')],
    ids='-'.join,
)
def implementation(request):
    """Runs the test on both implementations, on each device."""
    device, kind = request.param
    with running_on(device, kind):
        yield kind
