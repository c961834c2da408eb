"""Error budgets: how far results may be from float64, by dtype, for all scans.

Errors are root mean squares relative to what the float64 oracle says. Inputs are
those of a freshly initialised model. Below: the functions of the kernels themselves.
"""

import numpy as np
import pytest
import torch
from helpers import devices, scan_cases
from helpers.scan_cases import error

from mmssm.ops import ScanPaths, backend, selective_scan

# What float32 costs over thousands of steps; sums of gradients are longer.
FORWARD, GRADIENT = 1e-6, 5e-6
# Of the error that rounding the exact result makes, which nobody can avoid.
ROUNDING = 1.5
# Of the error of the same scan in plain PyTorch. The 2^x of a GPU's special-function
# units is good to two units in the last place, PyTorch's exponential to one.
BESIDE_TORCH = {'cpu': 2.0, 'cuda': 4.0}
RESULTS = ('output', 'last state')


def selective(dtype, N=2, E=48, L=257, d_state=16, G=2):
    """Arguments of `run_selective_scan`."""
    normal, step = _draw()
    arguments = dict(
        u=normal(N, E, L),
        delta=normal(N, E, L) / 2,
        A=_dynamics(E, d_state),
        B=normal(N, G, d_state, L),
        C=normal(N, G, d_state, L),
        D=normal(E),
        z=normal(N, E, L),
        delta_bias=step(E),
        initial_state=normal(N, E, d_state),
    )
    return _cast(arguments, dtype), True


def paths(dtype, N=2, E=48, L=257, d_state=16, R=4):
    """Arguments of `run_path_scan`."""
    normal, step = _draw()
    index = torch.stack([torch.arange(L), torch.arange(L).flip(0).roll(7)])
    steps = ((0, 0, False), (1, 1, False), (0, 0, True), (1, 1, True))
    K = len(steps)
    arguments = dict(
        dt=normal(N, K, L, R),
        A=_dynamics(E, d_state).expand(K, -1, -1).clone(),
        B=normal(N, K, L, d_state),
        C=normal(N, K, L, d_state),
        D=normal(K, E),
        dt_bias=step(K, E),
        dt_weight=normal(K, E, R) / 4,
        initial_state=normal(N, K, E, d_state),
    )
    sources = [normal(N, L, E).to(dtype).requires_grad_() for _ in range(2)]
    return ScanPaths(index, steps), sources, _cast(arguments, dtype)


def samples(dtype, N=2, side=16, E=48, G=2, d_state=16, R=4):
    """Arguments of `run_deform_scan`."""
    normal, step = _draw()
    L, near = side**2, torch.arange(-1.0, 2.0)
    index = torch.arange(L)[None]
    arguments = dict(
        x=normal(N, L, E),
        offset=normal(N, L, G, 9, 2),
        weight=normal(N, L, G, 9),
        anchors=torch.cartesian_prod(near, near),
        dt=normal(N, 1, L, R),
        A=_dynamics(E, d_state)[None],
        B=normal(N, 1, L, d_state),
        C=normal(N, 1, L, d_state),
        D=normal(1, E),
        dt_bias=step(1, E),
        dt_weight=normal(1, E, R) / 4,
    )
    return ScanPaths(index, ((0, 0, False),)), (side, side), _cast(arguments, dtype)


def _draw():
    generator = torch.Generator().manual_seed(0)

    def normal(*sizes):
        return devices.normal(*sizes, generator=generator)

    def step(*sizes):
        size = torch.rand(*sizes, generator=generator, device='cpu') * 0.099 + 0.001
        size = devices.here(size)
        return size + torch.log(-torch.expm1(-size))

    return normal, step


def _dynamics(E, d_state):
    return -torch.arange(1.0, d_state + 1).expand(E, -1).clone()


def _cast(arguments, dtype):
    """Tokens in a dtype; weights and states stay float32."""
    wide = ('A', 'D', 'delta_bias', 'dt_bias', 'dt_weight', 'initial_state', 'offset')
    return {
        k: v.to(torch.float32 if k in wide else dtype).requires_grad_()
        for k, v in arguments.items()
    }


CASES = {
    'selective': (scan_cases.run_selective_scan, selective, {}),
    'selective long': (
        scan_cases.run_selective_scan, selective, dict(N=1, E=16, L=4131, G=1),
    ),
    'selective one state': (scan_cases.run_selective_scan, selective, dict(d_state=1)),
    'paths': (scan_cases.run_path_scan, paths, {}),
    'paths one state': (scan_cases.run_path_scan, paths, dict(d_state=1)),
    'samples': (scan_cases.run_deform_scan, samples, {}),
}  # fmt: skip
cases = pytest.mark.parametrize('case', CASES)


def run(case, dtype):
    function, make, sizes = CASES[case]
    return function(*make(dtype, **sizes))


@cases
def test_float32(native, case):
    got, exact = run(case, torch.float32)
    for name, tensor in got.items():
        budget = FORWARD if name in RESULTS else GRADIENT
        assert error(tensor, exact[name]) < budget, name


@cases
def test_float32_beside_plain_torch(native, case):
    errors = {}
    for name in ('native', 'reference'):
        with backend(name):
            got, exact = run(case, torch.float32)
        errors[name] = {k: error(tensor, exact[k]) for k, tensor in got.items()}
    for name, found in errors['native'].items():
        assert found < BESIDE_TORCH[native] * errors['reference'][name], name


@cases
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half(native, case, dtype):
    """The error is little more than that of the exact result, rounded."""
    got, exact = run(case, dtype)
    for name, tensor in got.items():
        rounded = torch.from_numpy(exact[name]).to(tensor.dtype)
        unavoidable = error(rounded, exact[name])
        if tensor.dtype == torch.float32:
            unavoidable = GRADIENT
        assert error(tensor, exact[name]) < ROUNDING * unavoidable, name


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_every_half_number_survives(native, dtype):
    """Conversion to float and back, for all bit patterns: y = 1 * x."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    u = bits.view(dtype).view(1, 1, -1)
    zero = torch.zeros(1, 1, u.shape[2])
    y = selective_scan(
        u, zero, torch.zeros(1, 0), zero[:, :0], zero[:, :0], torch.ones(1)
    )
    same = (y.view(torch.int16) == u.view(torch.int16)) | (y.isnan() & u.isnan())
    assert same.all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_rounding_is_that_of_torch(native, dtype):
    generator = torch.Generator().manual_seed(0)
    spread = devices.normal(4000, generator=generator).mul(12).exp2()
    edges = torch.tensor([65504.0, 65519.9, 65520.0, 1e9, 6.1e-5, 6e-8, 2.9e-8, 0.0])
    u = torch.cat([spread, -spread, edges, edges.neg()]).view(1, 1, -1)
    weight = torch.ones(1, dtype=dtype)
    zero = torch.zeros(1, 1, u.shape[2])
    y = torch.ops.mmssm.selective_scan(
        u, zero, torch.zeros(1, 0), zero[:, None, :0], zero[:, None, :0], weight, None,
        None, False, False, False, dtype,
    )[0]  # fmt: skip
    assert torch.equal(y, u.to(dtype))


def test_exponential_and_softplus(native):
    """The kernel's own functions against torch, over their whole range."""
    raw = torch.cat([torch.linspace(-87, 30, 20001), torch.tensor([-1e4, 1e4, -0.0])])
    # One step of each channel from zero, with B = C = u = 1: y = softplus(delta).
    one = torch.ones(1, 1, 1)
    delta = raw.view(1, -1, 1)
    y = selective_scan(
        torch.ones_like(delta), delta, -torch.ones(len(raw), 1), one, one,
        delta_softplus=True,
    )  # fmt: skip
    exact = torch.nn.functional.softplus(delta.double())
    relative = (y.double() - exact).abs() / exact.clamp(min=1e-37)
    assert relative.max() < 5e-7

    # One step from the state 1 without input: h = exp(delta A).
    exponent = torch.linspace(-86.9, 88, 40000)
    _, h = selective_scan(
        torch.zeros(1, 40000, 1), torch.ones(1, 40000, 1), exponent[:, None],
        torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), return_last_state=True,
        initial_state=torch.ones(1, 40000, 1),
    )  # fmt: skip
    # The kernel rounds exponent * log2(e): half a unit of it is that much of h.
    allowed = 3e-7 + exponent.abs() * 1.2e-7
    relative = (h.flatten().double() / exponent.double().exp() - 1).abs()
    assert (relative < allowed).all()
    assert relative[exponent.abs() < 1].max() < 3.5e-7


def test_exponential_beyond_its_range(native):
    exponents = torch.tensor([[-1e30], [-torch.inf], [-200.0], [200.0], [0.0]])
    _, h = selective_scan(
        torch.zeros(1, 5, 1), torch.ones(1, 5, 1), exponents, torch.zeros(1, 1, 1),
        torch.zeros(1, 1, 1), return_last_state=True,
        initial_state=torch.ones(1, 5, 1),
    )  # fmt: skip
    assert h.flatten().tolist() == [0.0, 0.0, 0.0, torch.inf, 1.0]


def test_long_memory_does_not_drift(native):
    """Errors of decays next to 1 add up to no more than their rounding does."""
    L = 4131
    delta = torch.full((1, 1, L), 1e-6)
    zero = torch.zeros(1, 1, L)
    _, h = selective_scan(
        zero, delta, -torch.ones(1, 1), zero, zero, return_last_state=True,
        initial_state=torch.ones(1, 1, 1),
    )  # fmt: skip
    assert h.item() == pytest.approx(np.exp(-1e-6 * L), rel=1.5e-4)
