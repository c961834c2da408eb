"""Tests of `mmssm.ops.selective_scan`."""

import pytest
import torch
from helpers import devices, scan_oracle
from helpers.scan_arguments import F64
from helpers.scan_arguments import selective_arguments as make
from helpers.scan_cases import error

from mmssm.ops import backend, selective_scan


def oracle(arguments, delta_softplus=True):
    values = {k: devices.exact(v) for k, v in arguments.items()}
    values['h0'] = values.pop('initial_state', None)
    return scan_oracle.selective_scan(**values, delta_softplus=delta_softplus)


def scan(arguments, delta_softplus=True):
    return selective_scan(
        **arguments, delta_softplus=delta_softplus, return_last_state=True
    )


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
@pytest.mark.parametrize('name', ['u', 'delta', 'B', 'C'])
def test_nan_stays_in_its_row_and_after_its_step(implementation, name, value):
    """The row of B and C is a sample, that of the others a channel of it."""
    arguments = make(2, 20, 70, 3, 1, grad=True)
    del arguments['z']
    clean, _ = scan(arguments)
    spoilt = arguments[name].detach().clone()
    row = (1, 7) if name in ('u', 'delta') else (1,)
    spoilt[(*row, ..., 40)] = value
    arguments[name] = spoilt.requires_grad_()
    out, _ = scan(arguments)
    hit = torch.zeros_like(out, dtype=torch.bool)
    hit[row][..., 40:] = True
    assert torch.equal(out[~hit], clean[~hit])
    assert not out[row][..., 40].isfinite().any()
    # A gradient of one row reaches that row's inputs only.
    (du,) = torch.autograd.grad(out[0].sum(), arguments['u'])
    assert du[0].isfinite().all()


def test_channels_do_not_know_their_places(native):
    """A channel's lane, block and neighbours change nothing, to the bit."""
    arguments = make(2, 37, 70, 3, 1, dtype=torch.float32)
    del arguments['z']
    out, last = scan(arguments)
    order = devices.permutation(37, torch.Generator().manual_seed(3))
    moved = {
        k: v if k in ('B', 'C') else v[order] if v.shape[0] == 37 else v[:, order]
        for k, v in arguments.items()
    }
    out2, last2 = scan(moved)
    assert torch.equal(out2, out[:, order])
    assert torch.equal(last2, last[:, order])


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
    with devices.autocast():
        out = scan(arguments)[0]
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)


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
