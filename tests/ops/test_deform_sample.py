"""Tests of `mmssm.ops.deform_sample`."""

import itertools
import math
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from helpers import devices

from mmssm.ops import backend, deform_sample

F64 = torch.float64


def window(kernel):
    """Anchors of a square window, row by row."""
    reach = kernel // 2
    sides = range(-reach, kernel - reach)
    return torch.tensor(list(itertools.product(sides, sides)), dtype=F64)


def make(
    N=2, H=4, W=5, E=6, G=1, kernel=3, by='channel', dtype=F64, grad=False, spread=1.5
):
    """Returns the size of a map and all tensors by name."""
    generator = torch.Generator().manual_seed(0)
    anchors = window(kernel)
    M = len(anchors)

    def normal(*shape):
        return devices.normal(*shape, generator=generator, dtype=F64)

    tensors = {
        'x': normal(N, H * W, E),
        'offset': spread * normal(N, H * W, G, M, 2),
        'weight': normal(E, M) if by == 'channel' else normal(N, H * W, G, M),
        'anchors': anchors,
    }
    tensors = {k: v.to(dtype) for k, v in tensors.items()}
    for name in ('x', 'offset', 'weight'):
        tensors[name].requires_grad_(grad)
    return (H, W), tensors


def oracle(size, x, offset, weight, anchors):
    """Loops over every number, in float64 NumPy."""
    x, offset, weight, anchors = map(devices.exact, (x, offset, weight, anchors))
    (N, L, E), (G, M) = x.shape, offset.shape[2:4]
    H, W = size
    y = np.zeros((N, L, E))
    for n, token, e, m in itertools.product(range(N), range(L), range(E), range(M)):
        g = e // (E // G)
        row = token // W + anchors[m, 0] + offset[n, token, g, m, 0]
        column = token % W + anchors[m, 1] + offset[n, token, g, m, 1]
        value = 0.0
        for r in (math.floor(row), math.floor(row) + 1):
            for c in (math.floor(column), math.floor(column) + 1):
                if 0 <= r < H and 0 <= c < W:
                    share = (1 - abs(row - r)) * (1 - abs(column - c))
                    value += share * x[n, r * W + c, e]
        share = weight[e, m] if weight.ndim == 2 else weight[n, token, g, m]
        y[n, token, e] += share * value
    return y


def relative_error(got, expected):
    got, expected = map(devices.exact, (got, expected))
    return np.sqrt(np.mean((got - expected) ** 2) / np.mean(expected**2))


SHAPES = [
    {},
    {'N': 1, 'H': 1, 'W': 1, 'E': 1, 'kernel': 1},
    {'H': 1, 'W': 9, 'E': 3},
    {'H': 7, 'W': 1, 'E': 17, 'kernel': 2},
    {'E': 6, 'G': 3, 'kernel': 2},
    {'N': 1, 'H': 3, 'W': 3, 'E': 70, 'kernel': 1},
    {'N': 1, 'H': 3, 'W': 2, 'E': 132, 'G': 2, 'kernel': 1},
    {'N': 1, 'H': 13, 'W': 11, 'E': 2, 'kernel': 5, 'spread': 8.0},
]


@pytest.mark.parametrize('by', ['channel', 'token'])
@pytest.mark.parametrize('sizes', SHAPES)
def test_agrees_with_the_loop(implementation, sizes, by):
    size, tensors = make(**sizes, by=by)
    y = deform_sample(**tensors, size=size)
    expected = oracle(size, **tensors)
    np.testing.assert_allclose(y.cpu(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('by', ['channel', 'token'])
@pytest.mark.parametrize(
    'sizes', [{'N': 1, 'H': 3, 'W': 2, 'E': 3}, {'H': 2, 'W': 2, 'E': 6, 'G': 3}]
)
def test_gradients(implementation, sizes, by):
    size, tensors = make(**{'kernel': 2, **sizes}, by=by, grad=True, spread=0.8)
    anchors = tensors.pop('anchors')

    def run(x, offset, weight):
        return deform_sample(x, offset, weight, anchors, size)

    assert torch.autograd.gradcheck(run, tuple(tensors.values()))


def gradients(size, tensors, seed=1):
    y = deform_sample(**tensors, size=size)
    generator = torch.Generator().manual_seed(seed)
    given = devices.normal(*y.shape, generator=generator).to(y.dtype)
    wanted = [tensors[name] for name in ('x', 'offset', 'weight')]
    return [y, *torch.autograd.grad(y, wanted, given)]


@pytest.mark.parametrize('by', ['channel', 'token'])
@pytest.mark.parametrize(
    ('sizes', 'dtype', 'most'),
    [
        ({'N': 2, 'H': 27, 'W': 17, 'E': 96}, F64, 1e-14),
        ({'N': 2, 'H': 27, 'W': 17, 'E': 96}, torch.float32, 2e-6),
        ({'N': 3, 'H': 9, 'W': 17, 'E': 150, 'G': 2}, F64, 1e-14),
        # Whole pixels, where one-sided derivatives differ.
        ({'N': 2, 'H': 9, 'W': 17, 'E': 33, 'spread': 0.0}, F64, 1e-14),
    ],
)
def test_kernels_agree_with_the_reference(native, sizes, dtype, most, by):
    size, tensors = make(**sizes, by=by, dtype=dtype, grad=True)
    got = gradients(size, tensors)
    with backend('reference'):
        expected = gradients(size, tensors)
    for name, a, b in zip(('y', 'x', 'offset', 'weight'), got, expected, strict=True):
        assert relative_error(a, b) < most, name


@pytest.mark.parametrize('by', ['channel', 'token'])
def test_gradient_at_whole_pixels_is_that_of_the_next_cell(implementation, by):
    size, tensors = make(N=1, H=3, W=4, E=2, by=by, spread=0.0, grad=True)
    deform_sample(**tensors, size=size).sum().backward()
    step = 1e-6
    got = tensors['offset'].grad
    before = oracle(size, **tensors).sum()
    for place in itertools.product(*map(range, got.shape)):
        moved = tensors['offset'].detach().clone()
        moved[place] += step
        after = oracle(size, **{**tensors, 'offset': moved}).sum()
        assert got[place].item() == pytest.approx((after - before) / step, abs=1e-6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, F64])
@pytest.mark.parametrize('by', ['channel', 'token'])
def test_one_tap_in_place_is_the_identity(implementation, dtype, by):
    size, tensors = make(H=18, W=7, E=40, kernel=1, by=by, dtype=dtype, spread=0.0)
    tensors['weight'].fill_(1)
    assert torch.equal(deform_sample(**tensors, size=size), tensors['x'])


def test_is_a_depth_wise_convolution_without_offsets(implementation):
    size, tensors = make(N=2, H=6, W=5, E=4, spread=0.0)
    y = deform_sample(**tensors, size=size)
    expected = torch.nn.functional.conv2d(
        tensors['x'].mT.unflatten(2, size),
        tensors['weight'].view(4, 1, 3, 3),
        padding=1,
        groups=4,
    )
    torch.testing.assert_close(y, expected.flatten(2).mT)


@pytest.mark.parametrize('kernel', [1, 3, 5])
def test_agrees_with_the_deformable_convolution_of_mmcv(native, kernel):
    """Modulated, depth-wise and with ones for its kernel, it sums weighted samples."""
    if find_spec('mmcv') is None or find_spec('mmcv._ext') is None:
        pytest.skip('mmcv is not installed with its compiled ops')
    from mmcv.ops import modulated_deform_conv2d

    G, (N, H, W, E) = 2, (2, 7, 9, 12)
    size, tensors = make(N, H, W, E, G, kernel, 'token', torch.float32, grad=True)
    M = kernel**2

    def as_map(values):
        # mmcv reads what it is given as if it were contiguous.
        return values.unflatten(1, size).movedim(3, 1).contiguous()

    x = as_map(tensors['x'])
    offset = as_map(tensors['offset'].flatten(2))
    weight = as_map(tensors['weight'].flatten(2))
    ones = torch.ones(E, 1, kernel, kernel)
    expected = modulated_deform_conv2d(
        x, offset, weight, ones, None, 1, kernel // 2, 1, E, G
    )
    expected = expected.flatten(2).mT
    y = deform_sample(**tensors, size=size)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    wanted = [tensors[name] for name in ('x', 'offset', 'weight')]
    generator = torch.Generator().manual_seed(M)
    given = devices.normal(N, H * W, E, generator=generator)
    for a, b in zip(
        torch.autograd.grad(y, wanted, given),
        torch.autograd.grad(expected, wanted, given),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_whole_offsets_move_the_map(implementation):
    size, tensors = make(N=1, H=5, W=6, E=3, kernel=1, spread=0.0)
    tensors['weight'].fill_(1)
    tensors['offset'][..., 0], tensors['offset'][..., 1] = 2.0, -1.0
    y = deform_sample(**tensors, size=size).view(1, 5, 6, 3)
    x = tensors['x'].view(1, 5, 6, 3)
    assert torch.equal(y[:, :3, 1:], x[:, 2:, :5])
    assert not y[:, 3:].any()
    assert not y[:, :, 0].any()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('by', ['channel', 'token'])
def test_half_precision_is_computed_in_single(implementation, dtype, by):
    size, tensors = make(by=by, dtype=dtype, grad=True)
    got = gradients(size, tensors)
    wide = {k: v.detach().float().requires_grad_() for k, v in tensors.items()}
    for a, b in zip(got, gradients(size, wide), strict=True):
        assert a.dtype == dtype
        assert relative_error(a, b) < torch.finfo(dtype).eps


def test_float_places_with_half_tokens(implementation):
    size, tensors = make(dtype=torch.float32)
    half = {**tensors, 'x': tensors['x'].half()}
    y = deform_sample(**half, size=size)
    assert y.dtype == torch.float16
    with devices.autocast():
        wide = deform_sample(**half, size=size)
    assert wide.dtype == torch.float32
    assert torch.equal(wide.half(), y)


def test_any_strides(implementation):
    size, tensors = make(N=3, E=20, G=2, by='token', grad=True)
    expected = gradients(size, tensors)
    for name in ('x', 'offset', 'weight', 'anchors'):
        tensor = tensors[name]
        turned = tensor.detach().transpose(0, -1).contiguous().transpose(0, -1)
        turned.requires_grad_(tensor.requires_grad)
        got = gradients(size, {**tensors, name: turned})
        for a, b in zip(got, expected, strict=True):
            assert torch.equal(a, b)


def test_half_of_a_projection(native):
    """Tokens as a slice of a wider tensor, the way a gate leaves them."""
    size, tensors = make(N=2, E=20, grad=True)
    wide = torch.cat([tensors['x'].detach(), torch.zeros(2, 20, 20)], -1)
    wide.requires_grad_()
    part = wide[..., :20]
    y = deform_sample(**{**tensors, 'x': part}, size=size)
    expected = deform_sample(**tensors, size=size)
    assert torch.equal(y, expected)
    y.sum().backward()
    expected.sum().backward()
    assert torch.equal(wide.grad[..., :20], tensors['x'].grad)
    assert not wide.grad[..., 20:].any()


def test_an_expanded_gradient(native):
    size, tensors = make(E=20, grad=True)
    y = deform_sample(**tensors, size=size)
    wanted = [tensors[name] for name in ('x', 'offset', 'weight')]
    ones = torch.ones((), dtype=F64)
    got = torch.autograd.grad(y, wanted, ones.expand(y.shape), retain_graph=True)
    expected = torch.autograd.grad(y, wanted, torch.ones_like(y))
    for a, b in zip(got, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('by', ['channel', 'token'])
def test_results_do_not_depend_on_threads(native_on_cpu, by):
    size, tensors = make(
        N=3, H=30, W=17, E=200, G=2, by=by, dtype=torch.float32, grad=True
    )
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 1):
            torch.set_num_threads(threads)
            results.append(gradients(size, tensors))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize('by', ['channel', 'token'])
def test_samples_do_not_depend_on_their_batch(native, by):
    size, tensors = make(N=3, E=20, by=by)
    y = deform_sample(**tensors, size=size)
    alone = {
        k: v if k == 'anchors' or (k == 'weight' and by == 'channel') else v[1:2]
        for k, v in tensors.items()
    }
    assert torch.equal(deform_sample(**alone, size=size), y[1:2])


@pytest.mark.parametrize(
    'sizes', [{'N': 0}, {'E': 0}, {'H': 0}, {'W': 0}, {'H': 0, 'W': 0}]
)
@pytest.mark.parametrize('by', ['channel', 'token'])
def test_empty_sizes(implementation, sizes, by):
    size, tensors = make(**sizes, by=by, grad=True)
    y = deform_sample(**tensors, size=size)
    assert y.shape == tensors['x'].shape
    y.sum().backward()
    assert not tensors['weight'].grad.any()


@pytest.mark.parametrize('by', ['channel', 'token'])
def test_without_taps_there_is_nothing(implementation, by):
    size, tensors = make(by=by)
    tensors['offset'] = tensors['offset'][..., :0, :]
    tensors['weight'] = tensors['weight'][..., :0]
    tensors['anchors'] = tensors['anchors'][:0]
    y = deform_sample(**tensors, size=size)
    assert y.shape == tensors['x'].shape
    assert not y.any()


def test_nan_token_reaches_only_places_that_touch_it(implementation):
    size, tensors = make(N=2, H=5, W=5, E=20, spread=0.0)
    clean = deform_sample(**tensors, size=size)
    tensors['x'][1, 12, 7] = float('nan')
    y = deform_sample(**tensors, size=size)
    hit = torch.zeros(2, 5, 5, 20, dtype=torch.bool)
    hit[1, 1:4, 1:4, 7] = True
    hit = hit.flatten(1, 2)
    assert y[hit].isnan().all()
    assert torch.equal(y[~hit], clean[~hit])


@pytest.mark.parametrize('by', ['channel', 'token'])
def test_nan_place_reaches_only_its_token_and_group(implementation, by):
    size, tensors = make(N=2, H=5, W=5, E=20, G=2, by=by, grad=True)
    clean = gradients(size, tensors)
    with torch.no_grad():
        tensors['offset'][1, 12, 1, 3, 0] = float('nan')
    y, dx, doffset, dweight = gradients(size, tensors)
    hit = torch.zeros_like(y, dtype=torch.bool)
    hit[1, 12, 10:] = True
    assert y[hit].isnan().all()
    assert torch.equal(y[~hit], clean[0][~hit])
    assert dx.isfinite().all()
    hit = torch.zeros_like(doffset, dtype=torch.bool)
    hit[1, 12, 1, 3] = True
    assert torch.equal(doffset.isnan(), hit)
    hit = torch.zeros_like(dweight, dtype=torch.bool)
    hit[(slice(10, 20), 3) if by == 'channel' else (1, 12, 1, 3)] = True
    assert torch.equal(dweight.isnan(), hit)


@pytest.mark.parametrize('by', ['channel', 'token'])
@pytest.mark.parametrize('far', [0.0, 1e9])
def test_nan_weight_is_never_lost(implementation, far, by):
    size, tensors = make(N=2, H=3, W=3, E=20, by=by)
    tensors['offset'][..., 4, 0] = far
    clean = deform_sample(**tensors, size=size)
    hit = torch.zeros_like(clean, dtype=torch.bool)
    place = (7, 4) if by == 'channel' else (1, 5, 0, 4)
    tensors['weight'][place] = float('nan')
    hit[(..., 7) if by == 'channel' else (1, 5)] = True
    y = deform_sample(**tensors, size=size)
    assert torch.equal(y.isnan(), hit)
    assert torch.equal(y[~hit], clean[~hit])


@pytest.mark.parametrize('far', [1e30, -1e30, float('inf'), -float('inf'), 2.0**33])
def test_places_far_outside_read_zeros(implementation, far):
    size, tensors = make(E=20, dtype=torch.float32, grad=True)
    with torch.no_grad():
        tensors['offset'][..., 0] = far
    y, *grads = gradients(size, tensors)
    assert not y.any()
    assert not any(gradient.any() for gradient in grads)


@pytest.mark.parametrize('by', ['channel', 'token'])
def test_registration(native, by):
    """Schema, gradient, fakes and compilation of both compiled ops."""
    size, tensors = make(N=1, H=3, W=4, E=5, kernel=2, by=by, grad=True)
    arguments = (*tensors.values(), *size)
    torch.library.opcheck(torch.ops.mmssm.deform_sample.default, arguments)
    fixed = [t.detach() for t in tensors.values()]
    given = torch.ones_like(fixed[0])
    torch.library.opcheck(
        torch.ops.mmssm.deform_sample_backward.default, (given, *fixed, *size)
    )


def test_a_second_gradient_is_an_error(native):
    size, tensors = make(grad=True)
    y = deform_sample(**tensors, size=size)
    (gradient,) = torch.autograd.grad(y.square().sum(), tensors['x'], create_graph=True)
    with pytest.raises(NotImplementedError, match="backend\\('reference'\\)"):
        gradient.sum().backward()


class Layer(torch.nn.Module):
    def __init__(self, size, tensors):
        super().__init__()
        self.size, self.rest = size, {k: tensors[k] for k in ('weight', 'anchors')}

    def forward(self, x, offset):
        return deform_sample(x, offset, **self.rest, size=self.size)


def test_compiles_in_one_graph_and_exports(native):
    size, tensors = make(dtype=torch.float32)
    layer = Layer(size, tensors)
    inputs = tensors['x'].requires_grad_(), tensors['offset']
    expected = layer(*inputs)
    got = torch.compile(layer, fullgraph=True, backend='aot_eager')(*inputs)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        torch.autograd.grad(got.sum(), inputs[0]),
        torch.autograd.grad(expected.sum(), inputs[0]),
    )
    with torch.no_grad():
        exported = torch.export.export(layer, inputs)
    assert torch.equal(exported.module()(*inputs), expected)


def test_shapes_on_the_meta_device(implementation):
    size, tensors = make(dtype=torch.bfloat16)
    y = deform_sample(**{k: v.to('meta') for k, v in tensors.items()}, size=size)
    assert (y.shape, y.dtype) == (tensors['x'].shape, torch.bfloat16)


def test_saves_its_arguments_alone(native):
    size, tensors = make(N=2, H=27, W=17, E=32, dtype=torch.float32, grad=True)
    saved = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.append(t.data_ptr()) or t, lambda t: t
    )
    with hooks:
        deform_sample(**tensors, size=size)
    assert set(saved) == {t.data_ptr() for t in tensors.values()}


def zeros(*shape, dtype=F64):
    return torch.zeros(*shape, dtype=dtype)


@pytest.mark.parametrize(
    ('changes', 'kind', 'message'),
    [
        ({'x': 1.0}, TypeError, 'x must be a tensor, got float'),
        ({'weight': None}, TypeError, 'weight must be a tensor, got NoneType'),
        ({'x': zeros(2, 20, 6, dtype=torch.int64)}, TypeError, 'x must be float32, '),
        ({'x': zeros(2, 20)}, ValueError, r'x must be \(N, L, E\), got shape \(2, 20'),
        ({'weight': zeros(6, 9).float()}, TypeError, 'weight is torch.float32 but x'),
        ({'offset': zeros(2, 20, 18)}, ValueError, r'offset must be \(N, L, G, M, 2'),
        (
            {'offset': zeros(2, 20, 1, 9, 3)},
            ValueError,
            r'offset must be .* = \(2, 20, 1, 9, 2\), got \(2, 20, 1, 9, 3\)',
        ),
        ({'offset': zeros(1, 20, 1, 9, 2)}, ValueError, r'offset must be .*\(2, 20'),
        ({'offset': zeros(2, 20, 4, 9, 2)}, ValueError, 'G = 4 groups.* E = 6 channel'),
        ({'anchors': zeros(8, 2)}, ValueError, r'anchors must be \(M, 2\) = \(9, 2'),
        ({'weight': zeros(5, 9)}, ValueError, r'weight must be \(E, M\) = \(6, 9\)'),
        (
            {'weight': zeros(2, 20, 2, 9)},
            ValueError,
            r'weight must be \(N, L, G, M\) = \(2, 20, 1, 9\), got \(2, 20, 2, 9\)',
        ),
        ({'weight': zeros(9)}, ValueError, r'by token or \(E, M\) = \(6, 9\) by chann'),
        ({'size': (4, 6)}, ValueError, '4 x 6, a map of 24 tokens, but x has L = 20'),
        ({'size': (-4, -5)}, ValueError, 'size is -4 x -5'),
        ({'size': (4.0, 5.0)}, TypeError, r'size must be two integers \(H, W\), got'),
        ({'size': 20}, TypeError, 'size must be two integers'),
        ({'anchors': zeros(9, 2).to('meta')}, ValueError, 'anchors is on meta but x'),
    ],
)
def test_wrong_arguments(changes, kind, message):
    size, tensors = make()
    with pytest.raises(kind, match=message):
        deform_sample(**{**tensors, 'size': size, **changes})


def test_other_backends_are_refused():
    size, tensors = make()
    with backend('mamba_ssm'), pytest.raises(ValueError, match='not deform_sample'):
        deform_sample(**tensors, size=size)
