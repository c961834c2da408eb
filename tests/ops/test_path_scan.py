"""Tests of `mmssm.ops.path_scan`."""

import pytest
import torch
from helpers import devices, scan_oracle
from helpers.scan_arguments import F64, FOUR
from helpers.scan_arguments import path_arguments as make
from helpers.scan_cases import error

from mmssm.ops import ScanPaths, backend, path_scan, selective_scan


def scan(paths, arguments, **options):
    rest = dict(arguments)
    x = tuple(rest.pop(f'x{s}') for s in range(paths.num_sources))
    options = {'return_last_state': True, **options}
    return path_scan(x, paths=paths, **rest, **options)


def oracle(paths, arguments):
    values = {k: None if v is None else devices.exact(v) for k, v in arguments.items()}
    h0 = values.pop('initial_state')
    if h0 is not None and paths.segment is None:
        h0 = h0[:, :, None]
    y, states = scan_oracle.path_scan(
        [values.pop(f'x{s}') for s in range(paths.num_sources)],
        index=paths.index.cpu().numpy(),
        steps=paths.steps,
        segment=paths.segment,
        h0=h0,
        **values,
    )
    return y, states if paths.segment else states[:, :, 0]


def check(paths, arguments, most=1e-14):
    got, expected = scan(paths, arguments), oracle(paths, arguments)
    for value, wanted in zip(got, expected, strict=True):
        assert value.shape == wanted.shape
        assert error(value, wanted) < most


@pytest.mark.parametrize(
    'sizes',
    [
        {'N': 1, 'L': 1, 'E': 1, 'R': 1, 'd_state': 1},
        {'N': 2, 'L': 17, 'E': 17, 'R': 4, 'd_state': 16},
        {'N': 1, 'L': 130, 'E': 3, 'R': 2, 'd_state': 2},
        {'N': 3, 'L': 64, 'E': 16, 'R': 0, 'd_state': 1},
        {'N': 40, 'L': 3, 'E': 2, 'R': 1, 'd_state': 8},
        {'steps': ((1, 0, True),)},
        {'steps': ((1, 1, True),)},
        {'steps': ((0, 0, False), (1, 0, False), (1, 2, True))},
        {'L': 10, 'segment': 5},
        {'L': 10, 'segment': 4},
        {'L': 10, 'segment': 99},
        {'L': 140, 'segment': 66, 'E': 2, 'steps': ((0, 0, True), (1, 0, False))},
        {'L': 3, 'segment': 1},
    ],
)
def test_agrees_with_the_loop(implementation, sizes):
    check(*make(**sizes))


@pytest.mark.parametrize('absent', ['D', 'dt_bias', 'initial_state'])
@pytest.mark.parametrize('segment', [None, 4])
def test_every_option_may_be_left_out(implementation, absent, segment):
    paths, arguments = make(segment=segment)
    arguments[absent] = None
    check(paths, arguments)


@pytest.mark.parametrize(
    'sizes',
    [
        {},
        {'R': 0},
        {'segment': 2},
        {'steps': ((1, 1, True),)},
        {'steps': ((1, 0, True), (0, 2, False))},
    ],
)
def test_gradients(implementation, sizes):
    paths, arguments = make(**{'N': 2, 'L': 3, 'E': 2, 'R': 2, 'd_state': 2, **sizes})
    arguments = {
        k: v if v is None else v.requires_grad_() for k, v in arguments.items()
    }
    names = [k for k, v in arguments.items() if v is not None]

    def run(*values):
        return scan(paths, {**arguments, **dict(zip(names, values, strict=True))})

    inputs = tuple(arguments[name] for name in names)
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize('absent', ['D', 'dt_bias', 'initial_state', 'dt_weight'])
def test_gradients_where_something_is_absent(native, absent):
    R = 0 if absent == 'dt_weight' else 2
    paths, arguments = make(2, 5, 3, R, 2, grad=False)
    arguments[absent] = None
    names = [k for k, v in arguments.items() if v is not None]

    def run(*values):
        return scan(paths, {**arguments, **dict(zip(names, values, strict=True))})

    inputs = tuple(arguments[name].requires_grad_() for name in names)
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def _gradients(paths, arguments):
    y, last = scan(paths, arguments)
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (t * devices.normal(*t.shape, generator=generator).to(t.dtype)).sum()
        for t in (y, last)
    )
    return [y, last, *torch.autograd.grad(loss, list(arguments.values()))]


@pytest.mark.parametrize(
    ('sizes', 'dtype', 'most'),
    [
        ({'N': 2, 'L': 200, 'E': 37, 'd_state': 16}, F64, 1e-14),
        ({'N': 2, 'L': 200, 'E': 37, 'd_state': 16}, torch.float32, 2e-6),
        ({'N': 3, 'L': 190, 'E': 33, 'segment': 70}, F64, 1e-14),
        ({'N': 40, 'L': 20, 'E': 18}, F64, 1e-14),
    ],
)
def test_kernels_agree_with_the_reference(native, sizes, dtype, most):
    paths, arguments = make(**sizes, dtype=dtype, grad=True)
    got = _gradients(paths, arguments)
    with backend('reference'):
        expected = _gradients(paths, arguments)
    names = ('y', 'last_state', *arguments)
    for name, a, b in zip(names, got, expected, strict=True):
        assert error(a, devices.exact(b)) < most, name


def test_output_dtype(implementation):
    paths, arguments = make(dtype=torch.bfloat16)
    assert scan(paths, arguments)[0].dtype == torch.bfloat16
    wide = scan(paths, arguments, out_dtype=torch.float32)[0]
    assert wide.dtype == torch.float32
    assert torch.equal(wide.bfloat16(), scan(paths, arguments)[0])
    with devices.autocast():
        assert torch.equal(scan(paths, arguments)[0], wide)
        half = scan(paths, arguments, out_dtype=torch.bfloat16)[0]
    assert half.dtype == torch.bfloat16


def test_autocast_keeps_float64(implementation):
    paths, arguments = make()
    with devices.autocast():
        y, _ = scan(paths, arguments)
    assert torch.equal(y, scan(paths, arguments)[0])


def test_a_tensor_is_one_source(implementation):
    paths, arguments = make(steps=((0, 0, False), (1, 0, True)))
    rest = {k: v for k, v in arguments.items() if k != 'x0'}
    y = path_scan(arguments['x0'], paths=paths, **rest)
    assert torch.equal(y, scan(paths, arguments)[0])


def test_one_natural_path_is_a_selective_scan(native):
    paths, a = make(steps=((0, 0, False),), R=0, L=70)
    y, last = scan(paths, a)
    out, state = selective_scan(
        a['x0'].mT, a['dt'][:, 0].mT, a['A'][0], a['B'][:, 0].mT, a['C'][:, 0].mT,
        a['D'][0], None, a['dt_bias'][0], True, True, a['initial_state'][:, 0],
    )  # fmt: skip
    assert torch.equal(out.mT, y)
    assert torch.equal(state, last[:, 0])


def test_renaming_tokens_renames_the_output(native):
    """Token order is a matter of names: only the visits count."""
    paths, arguments = make(L=70)
    y, last = scan(paths, arguments)
    new = devices.permutation(70, torch.Generator().manual_seed(3))
    old = new.argsort()
    renamed = {
        k: v[:, new] if k in ('x0', 'x1') else v[:, :, new]
        for k, v in arguments.items()
        if k in ('x0', 'x1', 'dt', 'B', 'C')
    }
    moved = ScanPaths(old[paths.index], paths.steps)
    y2, last2 = scan(moved, {**arguments, **renamed})
    assert torch.equal(y2, y[:, new])
    assert torch.equal(last2, last)


def test_reverse_is_the_reversed_row(native):
    paths, arguments = make(steps=((1, 0, True), (0, 0, False)))
    flipped = ScanPaths(
        torch.stack([paths.index[1].flip(0), paths.index[0].flip(0)]),
        ((0, 0, False), (1, 0, True)),
    )
    for a, b in zip(scan(paths, arguments), scan(flipped, arguments), strict=True):
        assert torch.equal(a, b)


def test_segments_are_separate_scans(native):
    """A segment of 17 steps is a sequence of its own, wherever it begins."""
    steps = ((0, 0, False), (0, 0, True))
    paths, arguments = make(1, 68, 5, 2, 3, steps=steps, segment=17)
    y, last = scan(paths, arguments)
    for part in range(4):
        now = slice(17 * part, 17 * part + 17)
        short = ScanPaths(torch.arange(17)[None], steps)
        pieces = {
            k: v[..., now, :] if k in ('x0', 'dt', 'B', 'C') else v
            for k, v in arguments.items()
        }
        first = arguments['initial_state']
        # The reverse path meets the segments in the other order.
        pieces['initial_state'] = torch.stack(
            [first[:, 0, part], first[:, 1, 3 - part]], dim=1
        )
        y2, last2 = scan(short, pieces)
        assert torch.equal(y2, y[:, now])
        assert torch.equal(last2[:, 0], last[:, 0, part])
        assert torch.equal(last2[:, 1], last[:, 1, 3 - part])


def test_any_strides(native):
    paths, arguments = make(2, 70, 20, 3, 5, grad=True)
    expected = _gradients(paths, arguments)
    for name, tensor in arguments.items():
        turned = tensor.detach().transpose(0, -1).contiguous().transpose(0, -1)
        got = _gradients(paths, {**arguments, name: turned.requires_grad_()})
        for a, b in zip(got, expected, strict=True):
            assert torch.equal(a, b)


def test_views_of_one_projection(native):
    """dt, B and C as slices of one tensor, the way a layer makes them."""
    paths, a = make(2, 30, 8, 3, 4, grad=False)
    joint = torch.cat([a['dt'], a['B'], a['C']], -1).requires_grad_()
    dt, B, C = joint.split([3, 4, 4], -1)
    y, _ = scan(paths, {**a, 'dt': dt, 'B': B, 'C': C})
    assert torch.equal(y, scan(paths, a)[0])
    y.sum().backward()
    assert joint.grad.abs().min() > 0


@pytest.mark.parametrize('sizes', [{'N': 0}, {'E': 0}, {'L': 0}, {'d_state': 0}])
@pytest.mark.parametrize('segment', [None, 4])
def test_empty_sizes(implementation, sizes, segment):
    paths, arguments = make(**sizes, segment=segment, grad=True)
    y, last = scan(paths, arguments)
    assert y.shape == arguments['x0'].shape
    assert last.shape == arguments['initial_state'].shape
    (y.sum() + last.sum()).backward()
    if 'L' in sizes:
        assert torch.equal(last, arguments['initial_state'])
        assert (arguments['initial_state'].grad == 1).all()


def test_nan_stays_in_its_channel_and_after_its_step(implementation):
    steps = ((0, 0, False), (0, 0, True))
    paths, arguments = make(2, 70, 20, 3, 3, steps=steps)
    clean, _ = scan(paths, arguments)
    arguments['x0'][1, 40, 7] = float('nan')
    spoilt, last = scan(paths, arguments)
    hit = torch.zeros_like(spoilt, dtype=torch.bool)
    hit[1, :, 7] = True
    assert torch.equal(spoilt[~hit], clean[~hit])
    assert spoilt[hit].isnan().all()
    assert last.isnan().sum() == 2 * 3

    forth = ScanPaths(paths.index, steps[:1])
    one = {k: v if k == 'x0' else v[:, :1] for k, v in arguments.items()}
    for name in ('A', 'D', 'dt_bias', 'dt_weight'):
        one[name] = arguments[name][:1]
    y, _ = scan(forth, one)
    assert y[1, :40, 7].isfinite().all()
    assert y[1, 40:, 7].isnan().all()


def test_shapes_on_the_meta_device(implementation):
    paths, arguments = make(segment=4, dtype=torch.bfloat16)
    arguments = {k: v.to('meta') for k, v in arguments.items()}
    y, last = scan(paths.to('meta'), arguments)
    assert (y.shape, y.dtype) == (arguments['x0'].shape, torch.bfloat16)
    assert (last.shape, last.dtype) == (
        arguments['initial_state'].shape,
        torch.float32,
    )


@pytest.mark.parametrize(
    ('changes', 'kind', 'message'),
    [
        ({'x0': 1.0}, TypeError, r'x must be a tensor, got float'),
        ({'x1': torch.zeros(2, 9, 5)}, TypeError, r'x\[1\] is torch.float32 but x'),
        ({'x1': torch.zeros(2, 8, 5, dtype=F64)}, ValueError, r'x\[1\] must be'),
        ({'x0': torch.zeros(2, 9, dtype=F64)}, ValueError, r'x must be \(N, L, E\)'),
        ({'A': torch.zeros(4, 5, dtype=F64)}, ValueError, r'A must be \(K, E, d_st'),
        ({'A': torch.zeros(3, 5, 3, dtype=F64)}, ValueError, r'A must be .*\(4, 5, 3'),
        ({'B': torch.zeros(2, 4, 9, 2, dtype=F64)}, ValueError, 'B must be'),
        ({'C': torch.zeros(2, 4, 8, 3, dtype=F64)}, ValueError, 'C must be'),
        ({'D': torch.zeros(5, dtype=F64)}, ValueError, 'D must be'),
        ({'dt_bias': torch.zeros(4, 4, dtype=F64)}, ValueError, 'dt_bias must be'),
        ({'dt': torch.zeros(2, 4, 9, 2, dtype=F64)}, ValueError, r'dt must be .*R\)'),
        ({'dt_weight': torch.zeros(4, 5, dtype=F64)}, ValueError, 'dt_weight must be'),
        ({'dt_weight': None}, ValueError, r'dt must be \(N, K, L, E\)'),
        ({'initial_state': torch.zeros(2, 4, 5, dtype=F64)}, ValueError, 'initial_s'),
    ],
)
def test_wrong_tensors(changes, kind, message):
    paths, arguments = make()
    with pytest.raises(kind, match=message):
        scan(paths, {**arguments, **changes})


def test_wrong_paths_and_options():
    paths, a = make()
    rest = {k: v for k, v in a.items() if k not in ('x0', 'x1')}
    with pytest.raises(ValueError, match=r'the 2 source\(s\) that paths names, got 1'):
        path_scan(a['x0'], paths=paths, **rest)
    with pytest.raises(TypeError, match=r'a mmssm\.ops\.ScanPaths, got tup'):
        path_scan(a['x0'], paths=(1, 2), **rest)
    with pytest.raises(TypeError, match='out_dtype must be'):
        scan(paths, a, out_dtype=torch.int32)
    with pytest.raises(ValueError, match=r'paths visits 5 tokens, but x has L = 9'):
        scan(ScanPaths([list(range(5))] * 2, FOUR), a)
    with pytest.raises(ValueError, match=r'index on meta, but x is on cpu.*paths.to'):
        scan(paths.to('meta'), a)
    single, a = make(steps=((0, 0, False), (0, 1, False)), dtype=torch.float32)
    a['x1'] = a['x1'].half()
    with pytest.raises(TypeError, match='all sources must be of one dtype'):
        scan(single, a)
