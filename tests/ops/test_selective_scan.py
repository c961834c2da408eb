"""Tests of `mmssm.ops.selective_scan`."""

import numpy as np
import pytest
import torch
from helpers import scan_oracle

from mmssm.ops import backend, selective_scan

F64 = torch.float64


def make(N=2, E=6, L=9, d_state=3, groups=2, dtype=F64, seed=0, grad=False):
    """Returns all arguments of a selective scan by name."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=F64)

    arguments = {
        'u': normal(N, E, L),
        'delta': normal(N, E, L) - 1,
        'A': -normal(E, d_state).exp(),
        'B': normal(N, groups, d_state, L),
        'C': normal(N, groups, d_state, L),
        'D': normal(E),
        'z': normal(N, E, L),
        'delta_bias': normal(E),
        'initial_state': normal(N, E, d_state),
    }
    return {k: v.to(dtype).requires_grad_(grad) for k, v in arguments.items()}


def oracle(arguments, delta_softplus=True):
    values = {k: v.detach().double().numpy() for k, v in arguments.items()}
    values['h0'] = values.pop('initial_state', None)
    return scan_oracle.selective_scan(**values, delta_softplus=delta_softplus)


def scan(arguments, delta_softplus=True):
    return selective_scan(
        **arguments, delta_softplus=delta_softplus, return_last_state=True
    )


def error(got, expected):
    """RMS error relative to the RMS of what is expected."""
    got = got.detach().double().numpy()
    return np.sqrt(np.mean((got - expected) ** 2) / np.mean(expected**2))


@pytest.mark.parametrize(
    'sizes',
    [
        (1, 1, 1, 1, 1),
        (2, 6, 9, 3, 2),
        (1, 17, 65, 2, 1),
        (3, 34, 64, 16, 2),
        (1, 3, 130, 17, 3),
        (40, 2, 5, 1, 1),
    ],
)
def test_agrees_with_the_loop(implementation, sizes):
    arguments = make(*sizes)
    for got, expected in zip(scan(arguments), oracle(arguments), strict=True):
        assert error(got, expected) < 1e-14


@pytest.mark.parametrize('absent', ['D', 'z', 'delta_bias', 'initial_state'])
@pytest.mark.parametrize('delta_softplus', [True, False])
def test_every_option_may_be_left_out(implementation, absent, delta_softplus):
    arguments = make()
    arguments['delta'] = arguments['delta'].abs()
    del arguments[absent]
    expected = oracle(arguments, delta_softplus)
    for got, wanted in zip(scan(arguments, delta_softplus), expected, strict=True):
        assert error(got, wanted) < 1e-14


def test_returns_the_output_alone_by_default(implementation):
    arguments = make()
    out, _ = scan(arguments)
    assert torch.equal(selective_scan(**arguments, delta_softplus=True), out)


def test_three_dimensional_weights_are_one_group(implementation):
    arguments = make(groups=1)
    out, _ = scan(arguments)
    arguments['B'], arguments['C'] = arguments['B'][:, 0], arguments['C'][:, 0]
    assert torch.equal(scan(arguments)[0], out)


@pytest.mark.parametrize('constant', ['B', 'C'])
def test_constant_weights(constant):
    arguments = make(groups=1)
    arguments[constant] = torch.randn(6, 3, dtype=F64)
    with backend('reference'):
        got = scan(arguments)
    for value, expected in zip(got, oracle(arguments), strict=True):
        assert error(value, expected) < 1e-14


def test_constant_weights_have_no_kernel(native):
    arguments = make()
    arguments['B'] = torch.randn(6, 3, dtype=F64)
    with pytest.raises(RuntimeError, match=r'constant B or C.*no kernel'):
        scan(arguments)


@pytest.mark.parametrize('delta_softplus', [True, False])
def test_gradients(implementation, delta_softplus):
    arguments = make(1, 4, 4, 2, 2, grad=True)
    names = list(arguments)

    def run(*values):
        return scan(dict(zip(names, values, strict=True)), delta_softplus)

    assert torch.autograd.gradcheck(run, tuple(arguments.values()))


def test_gradients_across_checkpoints(native):
    arguments = make(1, 3, 131, 2, 1, grad=True)
    names = list(arguments)

    def run(*values):
        return scan(dict(zip(names, values, strict=True)))

    assert torch.autograd.gradcheck(run, tuple(arguments.values()), fast_mode=True)


def test_gradients_of_what_is_asked_for(implementation):
    """Only some inputs need one, and only the last state is used."""
    arguments = make()
    arguments['A'].requires_grad_()
    scan(arguments)[1].sum().backward()
    assert arguments['A'].grad.abs().max() > 0
    assert arguments['u'].grad is None


@pytest.mark.parametrize(
    ('dtype', 'forward', 'backward'),
    [
        (torch.float32, 1e-6, 5e-6),
        (torch.bfloat16, 3e-3, 6e-3),
        (torch.float16, 4e-4, 8e-4),
    ],
)
def test_precision(native, dtype, forward, backward):
    """Errors of kernels stay within what rounding the results costs."""
    arguments = make(2, 32, 130, 16, 2, dtype=dtype)
    for name in ('A', 'D', 'delta_bias', 'initial_state'):
        arguments[name] = arguments[name].float()
    exact = {k: v.double().requires_grad_() for k, v in arguments.items()}
    for value in arguments.values():
        value.requires_grad_()
    out, last = scan(arguments)
    out64, last64 = scan(exact)
    assert (out.dtype, last.dtype) == (dtype, torch.float32)
    assert error(out, out64.detach().numpy()) < forward
    assert error(last, last64.detach().numpy()) < 1e-6

    cotangent = torch.randn(out.shape).to(dtype)
    out.backward(cotangent)
    out64.backward(cotangent.double())
    for name, value in arguments.items():
        assert value.grad.dtype == value.dtype
        assert error(value.grad, exact[name].grad.numpy()) < backward, name


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
    spread = torch.randn(4000, generator=generator).mul(12).exp2()
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


def _layouts(tensor):
    """Yields the tensor's values in other memory layouts."""
    yield tensor.transpose(0, -1).contiguous().transpose(0, -1)
    wide = torch.zeros(*tensor.shape[:-1], 2 * tensor.shape[-1] + 3, dtype=tensor.dtype)
    strided = wide[..., 3::2]
    strided.copy_(tensor)
    yield strided


def test_any_strides(native):
    arguments = make(2, 20, 70, 5, 2, grad=True)
    del arguments['z']
    out, last = scan(arguments)
    loss = out.sum() + last.square().sum()
    expected = torch.autograd.grad(loss, tuple(arguments.values()))
    for name in arguments:
        for layout in _layouts(arguments[name].detach()):
            other = {**arguments, name: layout.requires_grad_()}
            out2, last2 = scan(other)
            assert torch.equal(out2, out)
            assert torch.equal(last2, last)
            loss = out2.sum() + last2.square().sum()
            got = torch.autograd.grad(loss, tuple(other.values()))
            for a, b in zip(got, expected, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_expanded_inputs(native):
    arguments = make(3, 4, 6, 2, 1)
    for name in ('u', 'B', 'initial_state'):
        arguments[name] = arguments[name][:1].expand_as(arguments[name])
    out, _ = scan(arguments)
    solid = {k: v.contiguous() for k, v in arguments.items()}
    assert torch.equal(out, scan(solid)[0])


@pytest.mark.parametrize(
    'sizes', [(0, 4, 5, 2, 1), (2, 4, 0, 2, 1), (2, 0, 5, 2, 1), (2, 4, 5, 0, 1)]
)
def test_empty_sizes(implementation, sizes):
    arguments = make(*sizes, grad=True)
    out, last = scan(arguments)
    assert out.shape == arguments['u'].shape
    assert last.shape == arguments['initial_state'].shape
    (out.sum() + last.sum()).backward()
    for name, value in arguments.items():
        # What takes no part in a sum over nothing may have no gradient at all.
        assert value.grad is None or value.grad.shape == value.shape, name
    if sizes[2] == 0:
        assert torch.equal(last, arguments['initial_state'])
        assert (arguments['initial_state'].grad == 1).all()
        assert arguments['A'].grad is None or not arguments['A'].grad.any()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_nan_stays_in_its_row_and_after_its_step(implementation, value):
    arguments = make(2, 20, 70, 3, 1, grad=True)
    clean, _ = scan(arguments)
    u = arguments['u'].detach().clone()
    u[1, 7, 40] = value
    spoilt = {**arguments, 'u': u.requires_grad_()}
    out, _ = scan(spoilt)
    hit = torch.zeros_like(out, dtype=torch.bool)
    hit[1, 7, 40:] = True
    assert torch.equal(out[~hit], clean[~hit])
    assert not out[1, 7, 40:].isfinite().any()
    # A gradient of one row reaches that row's inputs only.
    (du,) = torch.autograd.grad(out[0].sum(), spoilt['u'])
    assert du.isfinite().all()


def test_concatenation_passes_the_state_on(native):
    arguments = make(2, 5, 150, 4, 1)
    out, last = scan(arguments)
    state, parts = arguments['initial_state'], []
    for now in (slice(0, 67), slice(67, 150)):
        part = {
            k: v[..., now] if v.shape[-1] == 150 else v for k, v in arguments.items()
        }
        y, state = scan({**part, 'initial_state': state})
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, -1), out, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, last, rtol=1e-12, atol=1e-12)


def test_autocast_leaves_the_dtype_of_u(implementation):
    arguments = make(dtype=torch.float32)
    expected = scan(arguments)[0]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = scan(arguments)[0]
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)


def test_registration(native):
    """Schema, gradient, fakes and compilation of both compiled ops."""
    a = make(1, 4, 70, 2, 2, grad=True)
    tensors = (a['u'], a['delta'], a['A'], a['B'], a['C'], a['D'], a['delta_bias'])
    op = torch.ops.mmssm.selective_scan
    torch.library.opcheck(op.default, (*tensors, a['initial_state'], *[True] * 3, F64))
    torch.library.opcheck(
        op.default, (*tensors[:5], None, None, None, False, False, True, F64)
    )
    tensors = tuple(t.detach() for t in tensors)
    out, last, kept = op(*tensors, None, True, True, True, F64)
    torch.library.opcheck(
        torch.ops.mmssm.selective_scan_backward.default,
        (out, last, kept, *tensors, None, True),
    )


def test_compiles_and_exports(native):
    arguments = make(1, 4, 6, 2, 1, dtype=torch.float32)
    expected = scan(arguments)[0]
    compiled = torch.compile(
        lambda **a: scan(a)[0], fullgraph=True, backend='aot_eager', dynamic=True
    )
    torch.testing.assert_close(compiled(**arguments), expected)

    class Module(torch.nn.Module):
        def forward(self, u, delta, A, B, C):
            return selective_scan(u, delta, A, B, C)

    inputs = tuple(arguments[k] for k in ('u', 'delta', 'A', 'B', 'C'))
    exported = torch.export.export(Module(), inputs)
    assert torch.equal(exported.module()(*inputs), Module()(*inputs))


def test_second_gradient_names_the_way_out(native):
    arguments = make(grad=True)
    (du,) = torch.autograd.grad(
        scan(arguments)[0].sum(), arguments['u'], create_graph=True
    )
    with pytest.raises(NotImplementedError, match=r"backend\('reference'\)"):
        du.sum().backward()


def test_reference_differentiates_twice():
    arguments = make(1, 2, 3, 2, 1, grad=True)
    with backend('reference'):
        assert torch.autograd.gradgradcheck(
            lambda u, delta: scan({**arguments, 'u': u, 'delta': delta})[0],
            (arguments['u'], arguments['delta']),
        )


@pytest.mark.parametrize(
    ('changes', 'kind', 'message'),
    [
        ({'u': 3}, TypeError, 'u must be a tensor, got int'),
        ({'u': torch.zeros(2, 6)}, TypeError, 'delta is torch.float64 but u is'),
        ({'A': torch.zeros(6, 3, dtype=torch.complex64)}, TypeError, 'A must be float'),
        ({'A': torch.zeros(5, 3, dtype=F64)}, ValueError, r'A must be .* got \(5, 3\)'),
        ({'A': torch.zeros(6, dtype=F64)}, ValueError, r'A must be \(E, d_state\)'),
        ({'delta': torch.zeros(2, 6, 8, dtype=F64)}, ValueError, 'delta must be'),
        ({'B': torch.zeros(2, 4, 3, 9, dtype=F64)}, ValueError, 'do not divide'),
        ({'B': torch.zeros(2, 2, 4, 9, dtype=F64)}, ValueError, 'B must be'),
        ({'B': torch.zeros(9, dtype=F64)}, ValueError, 'B must be'),
        ({'B': torch.zeros(6, 4, dtype=F64)}, ValueError, r'B must be \(E, d_state\)'),
        ({'C': torch.zeros(2, 3, 3, 9, dtype=F64)}, ValueError, 'the 2 groups of B'),
        ({'C': torch.zeros(2, 3, 8, dtype=F64)}, ValueError, 'C must be'),
        ({'D': torch.zeros(5, dtype=F64)}, ValueError, 'D must be'),
        ({'z': torch.zeros(2, 6, 8, dtype=F64)}, ValueError, 'z must be'),
        ({'delta_bias': torch.zeros(1, dtype=F64)}, ValueError, 'delta_bias must be'),
        ({'initial_state': torch.zeros(2, 6, 2, dtype=F64)}, ValueError, 'initial_st'),
        ({'D': torch.zeros(6, dtype=F64, device='meta')}, ValueError, 'D is on meta'),
        ({'D': torch.zeros(6)}, TypeError, 'either all arguments are float64 or none'),
    ],
)
def test_wrong_arguments(changes, kind, message):
    with pytest.raises(kind, match=message):
        scan({**make(), **changes})
