"""Tests of `mmssm.ops.deform_scan`."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import devices, scan_cases
from helpers.scan_arguments import ONE
from helpers.scan_arguments import deform_arguments as make

from mmssm.ops import ScanPaths, backend, deform_sample, deform_scan, path_scan

F64 = torch.float64
HALF = (torch.bfloat16, torch.float16)
TWO = ((0, 0, False), (0, 0, True))
THREE = ((1, 0, True), (0, 0, False), (1, 0, False))
# The tensors that have a gradient, first those of the sampling.
PLACES = ('x', 'offset', 'weight')


def run(case, **changes):
    """Returns output and all gradients, by name."""
    size, paths, tensors = case
    call = scan_cases.deform_call(paths, size, {**tensors, **changes})
    return scan_cases.run_op(*call)


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in b)


def whole(case):
    """The places of a case at whole pixels, of weight 1."""
    _, _, tensors = case
    with torch.no_grad():
        tensors['offset'].zero_()
        tensors['anchors'].zero_()
        tensors['weight'].fill_(1)
    return case


def as_path_scan(case):
    """Output and gradients of `path_scan` on the undeformed map."""
    _, paths, tensors = case
    rest = {k: v for k, v in tensors.items() if k not in (*PLACES, 'anchors')}

    def call():
        return (path_scan(tensors['x'], paths=paths, **rest),)

    return scan_cases.run_op(call, {'x': tensors['x'], **rest})


SHAPES = [
    {},
    {'N': 1, 'H': 1, 'W': 1, 'E': 1, 'M': 1, 'R': 0},
    {'H': 9, 'W': 8, 'E': 17, 'M': 9, 'steps': TWO},
    {'E': 6, 'G': 3, 'M': 2, 'steps': THREE},
    # Blocks of channels that belong to several groups.
    {'N': 1, 'E': 60, 'G': 5, 'M': 4, 'R': 0, 'steps': TWO, 'segment': 7},
    {'N': 1, 'H': 5, 'W': 27, 'E': 32, 'G': 2, 'M': 25, 'spread': 6.0},
]


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize('sizes', SHAPES)
def test_agrees_with_the_loop(implementation, sizes, by):
    size, paths, tensors = make(**sizes, by=by, grad=True)
    scan_cases.check(*scan_cases.run_deform_scan(paths, size, tensors))


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize(
    'sizes', [{'N': 1, 'H': 2, 'W': 2, 'E': 2}, {'H': 2, 'W': 3, 'E': 4, 'G': 2}]
)
def test_gradients(implementation, sizes, by):
    size, paths, tensors = make(
        **sizes, M=2, R=1, d_state=2, steps=TWO, by=by, grad=True, spread=0.7
    )
    anchors = tensors.pop('anchors')

    def scan(*values):
        named = dict(zip(tensors, values, strict=True))
        return deform_scan(**named, anchors=anchors, size=size, paths=paths)

    inputs = tuple(tensors.values())
    assert torch.autograd.gradcheck(scan, inputs, fast_mode=sizes.get('G') == 2)


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize('steps', [ONE, THREE])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, F64])
def test_undeformed_is_path_scan_bit_by_bit(implementation, dtype, steps, by):
    case = whole(
        make(H=9, W=10, E=40, M=1, steps=steps, segment=None, by=by, dtype=dtype)
    )
    size, paths, tensors = case
    y = deform_scan(**tensors, size=size, paths=paths)
    rest = {k: v for k, v in tensors.items() if k not in (*PLACES, 'anchors')}
    expected = path_scan(tensors['x'], paths=paths, **rest)
    if y.is_cuda:  # whose compiler fuses the sum and the product of the skip or not
        torch.testing.assert_close(y, expected)
    else:
        assert torch.equal(y, expected)


def test_undeformed_gradients_are_those_of_path_scan(implementation):
    case = whole(make(H=9, W=10, E=40, M=1, steps=THREE, segment=17, grad=True))
    got, expected = run(case), as_path_scan(case)
    for name, tensor in expected.items():
        if name == 'x':  # its two parts are added in another order
            torch.testing.assert_close(got[name], tensor, rtol=1e-12, atol=1e-12)
        elif implementation == 'native' and not tensor.is_cuda:
            assert torch.equal(got[name], tensor), name
        else:
            torch.testing.assert_close(got[name], tensor)


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize('steps', [ONE, THREE])
def test_is_the_scan_of_the_samples_and_a_skip(implementation, steps, by):
    size, paths, tensors = make(H=9, W=10, E=40, M=9, steps=steps, by=by)
    names = (*PLACES, 'anchors')
    u = deform_sample(*(tensors[name] for name in names), size)
    rest = {k: v for k, v in tensors.items() if k not in (*names, 'D')}
    expected = path_scan(u, D=None, paths=paths, **rest)
    expected += tensors['D'].sum(0) * tensors['x']
    y = deform_scan(**tensors, size=size, paths=paths)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize('sizes', [SHAPES[2], SHAPES[4]])
@pytest.mark.parametrize(('dtype', 'most'), [(F64, 1e-13), (torch.float32, 1e-5)])
def test_kernels_agree_with_the_reference(native, sizes, dtype, most, by):
    case = make(**sizes, by=by, dtype=dtype, grad=True)
    got = run(case)
    with backend('reference'):
        expected = run(case)
    for name, tensor in expected.items():
        error = scan_cases.error(got[name], devices.exact(tensor))
        assert error < most, (name, error)


@pytest.mark.parametrize('dtype', HALF)
def test_half_precision_is_computed_in_single(implementation, dtype):
    case = make(H=9, W=8, E=20, M=4, steps=TWO, dtype=dtype, grad=True)
    size, paths, tensors = case
    wide = {
        k: v.detach().float().requires_grad_(v.requires_grad)
        for k, v in tensors.items()
    }
    got, expected = run(case), run((size, paths, wide))
    for name, tensor in expected.items():
        assert got[name].dtype == dtype
        error = scan_cases.error(got[name], devices.exact(tensor))
        assert error < torch.finfo(dtype).eps, name


def test_autocast_gives_the_state(implementation):
    size, paths, tensors = make(dtype=torch.bfloat16)
    y = deform_scan(**tensors, size=size, paths=paths)
    with devices.autocast():
        wide = deform_scan(**tensors, size=size, paths=paths)
    assert (y.dtype, wide.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(wide.bfloat16(), y)


def test_any_strides(native):
    case = make(N=3, E=20, G=2, steps=TWO, grad=True)
    expected = run(case)
    for name, tensor in case[2].items():
        turned = tensor.detach().transpose(0, -1).contiguous().transpose(0, -1)
        turned.requires_grad_(tensor.requires_grad)
        assert same(run(case, **{name: turned}), expected), name


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize(
    'sizes', [{'N': 0}, {'E': 0}, {'H': 0}, {'W': 0}, {'M': 0}, {'d_state': 0}]
)
def test_empty_sizes(implementation, sizes, by):
    size, paths, tensors = make(**sizes, by=by, grad=True)
    y = deform_scan(**tensors, size=size, paths=paths)
    assert y.shape == tensors['x'].shape
    if 'M' in sizes or 'd_state' in sizes:
        torch.testing.assert_close(y, tensors['D'].sum(0) * tensors['x'])
    y.sum().backward()
    for name, tensor in tensors.items():
        # What the reference has not used has no gradient.
        if tensor.grad is not None:
            assert tensor.grad.isfinite().all(), name
            assert 'M' in sizes or 'd_state' in sizes or not tensor.grad.any(), name


def test_nan_token_reaches_only_channels_and_steps_that_read_it(implementation):
    case = whole(make(N=2, H=5, W=5, E=20, M=1, grad=True))
    clean = run(case)['output']
    with torch.no_grad():
        case[2]['x'][1, 12, 7] = float('nan')
    y = run(case)['output']
    hit = torch.zeros_like(y, dtype=torch.bool)
    hit[1, 12:, 7] = True
    assert y[hit].isnan().all()
    assert torch.equal(y[~hit], clean[~hit])


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize('name', ['offset', 'weight'])
def test_nan_place_or_weight_reaches_its_group_from_its_token_on(
    implementation, name, by
):
    case = make(N=2, H=5, W=5, E=20, G=2, by=by, grad=True)
    clean = run(case)
    with torch.no_grad():
        if name == 'weight' and by == 'channel':
            case[2][name][15, 1] = float('nan')
        else:
            case[2][name][1, 12, 1, 2] = float('nan')
    got = run(case)
    hit = torch.zeros_like(got['output'], dtype=torch.bool)
    if name == 'weight' and by == 'channel':
        hit[:, :, 15] = True
    else:
        hit[1, 12:, 10:] = True
    assert got['output'][hit].isnan().all()
    assert torch.equal(got['output'][~hit], clean['output'][~hit])
    assert got['x'][0, :, :10].isfinite().all()
    if name == 'offset':
        assert got['offset'][1, 12, 1, 2].isnan().all()
        assert got['offset'][0].isfinite().all()


@pytest.mark.parametrize('by', ['token', 'channel'])
def test_lanes_without_a_channel_add_nothing(native, by):
    """Scratch memory is full of NaN then: an earlier scan has left it there."""
    size, paths, tensors = make(H=3, W=3, E=32, G=2, by=by, grad=True)
    with torch.no_grad():
        tensors['x'].fill_(float('nan'))
    for E, G in ((3, 3), (20, 2), (6, 1)):
        case = make(H=3, W=3, E=E, G=G, by=by, grad=True)
        run((size, paths, tensors))
        scan_cases.check(*scan_cases.run_deform_scan(case[1], case[0], case[2]))


def test_places_far_outside_read_zeros(implementation):
    size, paths, tensors = make(E=20, dtype=torch.float32)
    D = tensors['D']
    for far in (1e30, -float('inf'), 2.0**33):
        tensors['offset'][..., 0] = far
        y = deform_scan(**tensors, size=size, paths=paths)
        torch.testing.assert_close(y, D.sum(0) * tensors['x'])


@pytest.mark.parametrize('by', ['token', 'channel'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_results_do_not_depend_on_threads(native_on_cpu, by, dtype):
    case = make(
        N=3, H=12, W=13, E=140, G=2, M=5, steps=TWO, by=by, dtype=dtype, grad=True
    )
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 8, 1):
            torch.set_num_threads(threads)
            results.append(run(case))
    finally:
        torch.set_num_threads(before)
    assert all(same(results[0], other) for other in results[1:])


def test_calls_side_by_side(native_on_cpu):
    case = make(N=3, H=12, W=13, E=70, G=2, M=5, dtype=torch.float32, grad=True)
    expected = run(case)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: run(case), range(8)))
    assert all(same(expected, result) for result in results)


def test_samples_do_not_depend_on_their_batch(native):
    size, paths, tensors = make(N=3, E=20, steps=TWO)
    y = deform_scan(**tensors, size=size, paths=paths)
    per_sample = ('x', 'offset', 'weight', 'dt', 'B', 'C')
    alone = {k: v[1:2] if k in per_sample else v for k, v in tensors.items()}
    assert torch.equal(deform_scan(**alone, size=size, paths=paths), y[1:2])


def test_saves_its_arguments_and_checkpoints_alone(native):
    """Nothing of the samples' size stays for the backward."""
    case = make(N=2, H=16, W=16, E=48, M=9, d_state=4, dtype=torch.float32, grad=True)
    size, paths, tensors = case
    saved = {}
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.setdefault(t.data_ptr(), t), lambda t: t
    )
    with hooks:
        deform_scan(**tensors, size=size, paths=paths)
    given = {t.data_ptr() for t in (*tensors.values(), paths.index)}
    extra = [t for pointer, t in saved.items() if pointer not in given]
    # One state of (d_state, E) every 64 steps.
    assert [t.numel() for t in extra] == [2 * (256 // 64) * 4 * 48]


@pytest.mark.parametrize('by', ['token', 'channel'])
def test_registration(native, by):
    """Schema, gradient, fakes and compilation of both compiled ops."""
    size, paths, tensors = make(N=1, H=3, W=4, E=5, by=by, grad=True)
    constants = (paths.index, *size, [0], [0], 12, 1)
    arguments = (*tensors.values(), *constants)
    op = torch.ops.mmssm.deform_scan.default
    torch.library.opcheck(op, (*arguments, True, F64))
    fixed = [t.detach() for t in tensors.values()]
    y, checkpoints = op(*fixed, *constants, True, F64)
    torch.library.opcheck(
        torch.ops.mmssm.deform_scan_backward.default,
        (torch.ones_like(y), checkpoints, *fixed, *constants),
    )


def test_a_second_gradient_is_an_error(native):
    size, paths, tensors = make(grad=True)
    y = deform_scan(**tensors, size=size, paths=paths)
    (gradient,) = torch.autograd.grad(y.square().sum(), tensors['x'], create_graph=True)
    with pytest.raises(NotImplementedError, match="backend\\('reference'\\)"):
        gradient.sum().backward()


class Layer(torch.nn.Module):
    def __init__(self, size, paths, tensors):
        super().__init__()
        self.size, self.paths = size, paths
        self.rest = {k: v for k, v in tensors.items() if k not in ('x', 'offset')}

    def forward(self, x, offset):
        return deform_scan(x, offset, size=self.size, paths=self.paths, **self.rest)


def test_compiles_in_one_graph_and_exports(native):
    size, paths, tensors = make(dtype=torch.float32, steps=TWO)
    layer = Layer(size, paths, tensors)
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
    size, paths, tensors = make(dtype=torch.bfloat16)
    y = deform_scan(
        **{k: v.to('meta') for k, v in tensors.items()},
        size=size,
        paths=paths.to('meta'),
    )
    assert (y.shape, y.dtype) == (tensors['x'].shape, torch.bfloat16)


def zeros(*shape, dtype=F64):
    return torch.zeros(*shape, dtype=dtype)


@pytest.mark.parametrize(
    ('changes', 'kind', 'message'),
    [
        ({'x': 1.0}, TypeError, 'x must be a tensor, got float'),
        ({'x': [zeros(2, 20, 6)]}, TypeError, 'x must be a tensor, got list'),
        ({'x': zeros(2, 20)}, ValueError, r'x must be \(N, L, E\), got shape \(2, 20'),
        ({'weight': zeros(6, 3).float()}, TypeError, 'weight is torch.float32 but x'),
        ({'offset': zeros(2, 20, 4, 3, 2)}, ValueError, 'G = 4 groups.* E = 6 channel'),
        ({'anchors': zeros(8, 2)}, ValueError, r'anchors must be \(M, 2\) = \(3, 2'),
        ({'weight': zeros(3)}, ValueError, r'by token or \(E, M\) = \(6, 3\) by chann'),
        ({'size': (4, 6)}, ValueError, '4 x 6, a map of 24 tokens, but x has L = 20'),
        ({'size': 20}, TypeError, 'size must be two integers'),
        (
            {'dt': zeros(2, 2, 20, 3)},
            ValueError,
            r'dt must be \(N, K, L, R\) = \(2, 1,',
        ),
        ({'B': zeros(2, 1, 20, 4)}, ValueError, r'B must be .* = \(2, 1, 20, 3\), got'),
        ({'D': zeros(6)}, ValueError, r'D must be \(K, E\) = \(1, 6\), got \(6,\)'),
        ({'dt_weight': None}, ValueError, r'dt must be \(N, K, L, E\) = \(2, 1, 20, 6'),
        ({'paths': 'rows'}, TypeError, 'paths must be a mmssm.ops.ScanPaths, got str'),
        (
            {'paths': ScanPaths([range(19)], ONE)},
            ValueError,
            'paths visits 19 tokens, but x has L = 20',
        ),
        (
            {'paths': ScanPaths([range(20)], ((0, 1, False),))},
            ValueError,
            'x must hold the 2 source.* got 1',
        ),
        ({'C': zeros(2, 1, 20, 3).to('meta')}, ValueError, 'C is on meta but x'),
    ],
)
def test_wrong_arguments(changes, kind, message):
    size, paths, tensors = make()
    with pytest.raises(kind, match=message):
        deform_scan(**{**tensors, 'size': size, 'paths': paths, **changes})


def test_other_backends_are_refused():
    size, paths, tensors = make()
    with backend('mamba_ssm'), pytest.raises(ValueError, match='not deform_scan'):
        deform_scan(**tensors, size=size, paths=paths)


def test_optional_arguments(implementation):
    size, paths, tensors = make(R=0, E=20)
    for name in ('D', 'dt_bias'):
        less = {**tensors, name: None}
        instead = {**tensors, name: torch.zeros_like(tensors[name])}
        np.testing.assert_allclose(
            deform_scan(**less, size=size, paths=paths).cpu(),
            deform_scan(**instead, size=size, paths=paths).cpu(),
            rtol=1e-13,
        )
