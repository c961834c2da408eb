"""Tests of mamba-ssm as a backend of `mmssm.ops.selective_scan`.

On the CPU a stand-in takes the place of the package: it checks what mamba-ssm's own
binding checks, and computes the reference.
"""

import importlib
import sys
import types

import pytest
import torch
from helpers import devices, scan_cases
from helpers.scan_arguments import selective_arguments

from mmssm.ops import ScanPaths, _mamba_ssm, backend, path_scan, selective_scan

HALF = (torch.bfloat16, torch.float16)
TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


def make(dtype=torch.float32, **sizes):
    """Arguments that mamba-ssm knows."""
    arguments = selective_arguments(**sizes, dtype=dtype, grad=True)
    del arguments['initial_state']
    return arguments


def scan(arguments, **options):
    with backend('mamba_ssm'):
        return selective_scan(**arguments, delta_softplus=True, **options)


def run(arguments, name):
    """Output and all gradients of a backend, by name."""

    def call():
        with backend(name):
            return (selective_scan(**arguments, delta_softplus=True),)

    return scan_cases.run_op(call, arguments)


@pytest.fixture
def recorded(monkeypatch):
    """Puts the stand-in in the place of mamba-ssm; returns its calls."""
    calls = []

    def selective_scan_fn(
        u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
        return_last_state=False,
    ):  # fmt: skip
        calls.append((u, delta, A, B, C, D, z, delta_bias))
        assert u.dtype in (torch.float32, *HALF)
        assert A.dtype == torch.float32
        for weight in (B, C):
            assert weight.dtype == (u.dtype if weight.dim() > 2 else A.dtype)
        for per_step in (delta, z):
            assert per_step is None or per_step.dtype == u.dtype
        for per_channel in (D, delta_bias):
            assert per_channel is None or per_channel.dtype == torch.float32
            assert per_channel is None or per_channel.stride(-1) == 1
        with backend('reference'):
            return selective_scan(
                u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state
            )

    interface = types.ModuleType(_mamba_ssm.MODULE)
    interface.selective_scan_fn = selective_scan_fn
    for name in ('mamba_ssm', 'mamba_ssm.ops'):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    monkeypatch.setattr(_mamba_ssm, 'DEVICE', 'cpu')
    _mamba_ssm._function.cache_clear()
    yield calls
    _mamba_ssm._function.cache_clear()


def test_gets_every_argument(recorded):
    arguments = make()
    got, expected = run(arguments, 'mamba_ssm'), run(arguments, 'reference')
    assert all(torch.equal(got[name], expected[name]) for name in expected)
    for given, name in zip(
        recorded[0], ('u', 'delta', 'A', 'B', 'C', 'D', 'z', 'delta_bias'), strict=True
    ):
        assert given is arguments[name]  # nothing is copied


@pytest.mark.parametrize('absent', ['D', 'z', 'delta_bias'])
def test_every_option_may_be_left_out(recorded, absent):
    arguments = make()
    del arguments[absent]
    got, expected = run(arguments, 'mamba_ssm'), run(arguments, 'reference')
    assert all(torch.equal(got[name], expected[name]) for name in expected)


@pytest.mark.parametrize('dtype', HALF)
def test_half_tokens_with_single_weights(recorded, dtype):
    """Its weights must be float32, whatever ours are."""
    for weights in (dtype, torch.float32):
        arguments = make(dtype)
        for name in ('A', 'D', 'delta_bias'):
            arguments[name] = arguments[name].detach().to(weights).requires_grad_()
        out = scan(arguments)
        assert out.dtype == dtype
        gradients = torch.autograd.grad(out.sum(), list(arguments.values()))
        for name, gradient in zip(arguments, gradients, strict=True):
            assert gradient.dtype == arguments[name].dtype, name


def test_tokens_of_several_dtypes_are_widened(recorded):
    arguments = make()
    arguments['u'] = arguments['u'].detach().half()
    arguments['B'] = arguments['B'].detach().bfloat16()
    out = scan(arguments)
    assert {t.dtype for t in recorded[0]} == {torch.float32}
    assert out.dtype == torch.float16
    with backend('reference'):
        expected = selective_scan(**arguments, delta_softplus=True)
    torch.testing.assert_close(out, expected)


def test_weights_of_any_layout(recorded):
    arguments = make()
    expected = scan(arguments)
    for name in ('D', 'delta_bias'):
        strided = torch.stack([arguments[name], arguments[name]], 1)[:, 0]
        assert torch.equal(scan(arguments | {name: strided}), expected)


@pytest.mark.parametrize('name', ['B', 'C'])
def test_constant_weights(recorded, name):
    arguments = make(groups=1)
    arguments[name] = torch.randn(6, 3).bfloat16()
    assert scan(arguments).shape == arguments['u'].shape
    assert {t.dtype for t in recorded[0]} == {torch.float32}


def test_the_last_state_has_no_gradient(recorded):
    arguments = make()
    with pytest.raises(ValueError, match='leaves the last state out of the gradient'):
        scan(arguments, return_last_state=True)
    with torch.no_grad():
        _, last = scan(arguments, return_last_state=True)
        with backend('reference'):
            _, expected = selective_scan(
                **arguments, delta_softplus=True, return_last_state=True
            )
    assert torch.equal(last, expected)


@pytest.mark.parametrize(
    ('sizes', 'dtype', 'message'),
    [
        ({}, torch.float64, 'float32, bfloat16 and float16 only, but u is torch.fl'),
        (dict(d_state=257), torch.float32, '1 to 256 states, but A has d_state = 257'),
        (dict(d_state=0), torch.float32, '1 to 256 states, but A has d_state = 0'),
        (dict(L=0), torch.float32, r'no empty sizes, but u has shape \(2, 6, 0\)'),
    ],
)
def test_what_it_does_not_know(recorded, sizes, dtype, message):
    with pytest.raises(ValueError, match=message + ".*use 'auto', 'native' or"):
        scan(make(dtype, **sizes))
    assert not recorded


def test_more_elements_than_it_counts(recorded, monkeypatch):
    monkeypatch.setattr(_mamba_ssm, 'MAX_ELEMENTS', 107)
    with pytest.raises(ValueError, match='counts in 32 bits'):
        scan(make())


def test_initial_state(recorded):
    with pytest.raises(ValueError, match='knows no initial_state'):
        scan(selective_arguments(dtype=torch.float32))


def test_tensors_on_the_cpu():
    with pytest.raises(ValueError, match='NVIDIA GPUs only, but u is on cpu'):
        scan(make())


def test_other_ops():
    paths = ScanPaths([[0, 1, 2, 3]], [(0, 0, False)])
    weight = torch.ones(1, 1, 4, 1)
    with (
        backend('mamba_ssm'),
        pytest.raises(ValueError, match='selective_scan only, not path_scan'),
    ):
        path_scan(
            torch.ones(1, 4, 1), weight, -torch.ones(1, 1, 1), weight, weight, None,
            None, paths,
        )  # fmt: skip


def test_not_installed(recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mamba_ssm', None)
    monkeypatch.delitem(sys.modules, _mamba_ssm.MODULE)
    with pytest.raises(ImportError, match=r'needs the package mamba-ssm.*docs/gpu.md'):
        scan(make())


@pytest.fixture
def package():
    """The real package, on a GPU."""
    if not torch.cuda.is_available():
        pytest.skip(devices.NO_GPU)
    try:
        importlib.import_module(_mamba_ssm.MODULE)
    except ImportError as error:
        pytest.skip(f'mamba-ssm is not installed with its selective scan ({error})')
    before = torch.get_default_device()
    torch.set_default_device('cuda')
    yield
    torch.set_default_device(None if before.type == 'cpu' else before)


@pytest.mark.parametrize('dtype', [torch.float32, *HALF])
@pytest.mark.parametrize(
    'sizes',
    [
        dict(N=2, E=64, L=243, d_state=16, groups=1),
        dict(N=1, E=512, L=4131, d_state=16, groups=4),
        dict(N=3, E=96, L=22, d_state=1, groups=4),
        dict(N=64, E=32, L=17, d_state=16, groups=2),
    ],
)
def test_is_equal_to_the_kernels(package, sizes, dtype):
    arguments = make(dtype, **sizes)
    got, expected = run(arguments, 'mamba_ssm'), run(arguments, 'native')
    for name, tensor in expected.items():
        error = scan_cases.error(got[name], devices.exact(tensor))
        assert error < TOLERANCES[dtype], (name, error)
