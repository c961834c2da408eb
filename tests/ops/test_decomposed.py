"""The ops as exporters see them, held to the reference."""

import pytest
import torch
from helpers.scan_arguments import F64
from helpers.scan_arguments import path_arguments as make_path
from helpers.scan_arguments import selective_arguments as make_selective

from mmssm.ops import (
    ScanPaths,
    backend,
    deform_sample,
    deform_scan,
    path_scan,
    selective_scan,
)


def check(run, most=1e-12):
    """Compares what two backends make of a call."""
    results = []
    for name in ('reference', 'decomposed'):
        with backend(name):
            result = run()
        results.append(result if isinstance(result, tuple) else (result,))
    for one, other in zip(*results, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=most, atol=most, equal_nan=True)


@pytest.mark.parametrize(
    'sizes',
    [
        {},
        {'N': 0},
        {'L': 0},
        {'L': 1, 'E': 1, 'd_state': 1},
        {'R': 0},
        {'steps': ((1, 1, True),)},
        {'steps': ((0, 0, False), (1, 0, False), (1, 2, True))},
        {'L': 10, 'segment': 5},
        {'L': 10, 'segment': 4},
        {'L': 10, 'segment': 99},
    ],
)
@pytest.mark.parametrize('leave_out', [(), ('D', 'dt_bias', 'initial_state')])
def test_path_scan(sizes, leave_out):
    paths, arguments = make_path(**sizes)
    x = [arguments.pop(f'x{s}') for s in range(paths.num_sources)]
    arguments |= dict.fromkeys(leave_out)
    check(lambda: path_scan(x, paths=paths, return_last_state=True, **arguments))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_states_have_the_precision_of_the_op(dtype):
    paths, arguments = make_path(dtype=dtype)
    x = [arguments.pop(f'x{s}') for s in range(paths.num_sources)]
    most = 1e-5 if dtype == torch.float32 else 1e-2
    check(lambda: path_scan(x, paths=paths, return_last_state=True, **arguments), most)


@pytest.mark.parametrize('constant', [(), ('B',), ('C',), ('B', 'C')])
@pytest.mark.parametrize('groups', [1, 2, None])
def test_selective_scan(constant, groups):
    arguments = make_selective(groups=groups or 1)
    if groups is None:
        arguments |= {name: arguments[name][:, 0] for name in ('B', 'C')}
    generator = torch.Generator().manual_seed(1)
    for name in constant:
        arguments[name] = torch.randn(6, 3, generator=generator, dtype=F64)
    check(
        lambda: selective_scan(**arguments, delta_softplus=True, return_last_state=True)
    )
    plain = {name: arguments[name] for name in ('u', 'delta', 'A', 'B', 'C')}
    check(lambda: selective_scan(**plain))


def deform_arguments(groups, by_token, far=1.0, size=(4, 5), anchors=9):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=F64)

    N, L, E = 2, size[0] * size[1], 4
    sides = torch.arange(-1.0, 2.0, dtype=F64)
    return dict(
        x=normal(N, L, E),
        offset=far * normal(N, L, groups, anchors, 2),
        weight=normal(N, L, groups, anchors) if by_token else normal(E, anchors),
        anchors=torch.cartesian_prod(sides, sides)[:anchors],
        size=size,
    )


@pytest.mark.parametrize('groups', [1, 2])
@pytest.mark.parametrize('by_token', [True, False])
@pytest.mark.parametrize('far', [0.0, 1.0, 100.0, 1e30])
def test_deform_sample(groups, by_token, far):
    arguments = deform_arguments(groups, by_token, far)
    check(lambda: deform_sample(**arguments))


def test_places_that_are_no_numbers_stay_so():
    arguments = deform_arguments(2, True)
    arguments['offset'][0, 3, 1, 2, 0] = torch.nan
    with backend('decomposed'):
        y = deform_sample(**arguments)
    # the channels of that token and group, no others
    assert y[0, 3, 2:].isnan().all() and y.isnan().sum() == 2
    check(lambda: deform_sample(**arguments))


@pytest.mark.parametrize('by_token', [True, False])
def test_deform_scan(by_token):
    arguments = deform_arguments(1, by_token)
    _, rest = make_path(L=20, E=4, steps=((0, 0, False),))
    rest = {k: v for k, v in rest.items() if k not in ('x0', 'initial_state')}
    paths = ScanPaths(torch.arange(20)[None], [(0, 0, False)])
    check(lambda: deform_scan(**arguments, paths=paths, **rest))
