"""The peers of the op benchmarks compute what they are measured for."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers import scan_oracle

from benchmarks.ops import deform, gpu, paths
from benchmarks.ops.peers import PEERS, CopiedPaths, grid_paths, lean_loop
from benchmarks.ops.shapes import Shape
from mmssm.models.layers import cross_paths
from mmssm.ops import backend, deform_scan, path_scan, selective_scan


@pytest.mark.parametrize('d_state', [1, 4])
@pytest.mark.parametrize('name', PEERS)
def test_agrees_with_the_loop(name, d_state):
    arguments = Shape('', 2, 3, 4, 70, d_state).arguments()
    arguments = {k: v.double() for k, v in arguments.items()}
    expected, _ = scan_oracle.selective_scan(
        **{k: v.numpy() for k, v in arguments.items()}, delta_softplus=True
    )
    got = PEERS[name](**arguments).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('name', PEERS)
def test_gradients_are_those_of_the_reference(name):
    arguments = Shape('', 1, 2, 3, 40, 2).arguments()
    leaves = [v.double().requires_grad_() for v in arguments.values()]
    out = PEERS[name](*leaves[:6], delta_bias=leaves[6])
    with backend('reference'):
        named = dict(zip(arguments, leaves, strict=True))
        expected = selective_scan(**named, delta_softplus=True)
    cotangent = torch.randn(out.shape, dtype=out.dtype)
    for got, wanted in zip(
        torch.autograd.grad(out, leaves, cotangent),
        torch.autograd.grad(expected, leaves, cotangent),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    'scan', [lean_loop, partial(selective_scan, delta_softplus=True)]
)
def test_copied_paths_are_a_path_scan(scan):
    rows, columns, K, E = 5, 3, 4, 6
    generator = torch.Generator().manual_seed(0)

    def normal(*sizes):
        return torch.randn(*sizes, generator=generator, dtype=torch.float64)

    L = rows * columns
    arguments = dict(
        x=[normal(2, L, E), normal(2, L, E)],
        dt=normal(2, K, L, 3),
        A=-normal(K, E, 4).exp(),
        B=normal(2, K, L, 4),
        C=normal(2, K, L, 4),
        D=normal(K, E),
        dt_bias=normal(K, E),
        paths=cross_paths(rows, columns, sources=(0, 1)),
        dt_weight=normal(K, E, 3),
    )
    got = CopiedPaths(scan, rows, columns)(**arguments)
    torch.testing.assert_close(got, path_scan(**arguments))


def test_the_grid_is_that_of_the_models():
    ours, theirs = grid_paths(5, 3), cross_paths(5, 3, sources=(0, 1))
    assert torch.equal(ours.index, theirs.index)
    assert ours.steps == theirs.steps


def test_a_layer_around_copies_is_a_layer():
    rows, columns = 5, 3
    arguments = gpu.layer_arguments(2, rows * columns)
    copied = CopiedPaths(
        partial(selective_scan, delta_softplus=True), rows, columns
    ).project_and_scan
    ours = partial(gpu.project_and_scan, paths=grid_paths(rows, columns))
    torch.testing.assert_close(
        ours(**arguments), copied(**arguments), rtol=1e-4, atol=1e-4
    )
    for a, b in zip(
        gpu.layer_call(ours, arguments, gpu.CASES[1])(),
        gpu.layer_call(copied, arguments, gpu.CASES[1])(),
        strict=True,
    ):
        assert a.shape == b.shape


def test_arguments_of_the_block_fit_the_op():
    for variant in paths.VARIANTS:
        assert paths.call(variant, 'forward')().shape == (1, 243 * 17, 128)


@pytest.mark.parametrize('name', [*deform.VARIANTS, 'reference'])
def test_ways_to_a_deformable_scan_agree(name):
    function = deform.VARIANTS.get(name, deform.reference)
    arguments = deform.Block('', 2, 6, 12, 3).arguments()
    arguments = {
        k: v.double() if isinstance(v, torch.Tensor) else v
        for k, v in arguments.items()
    }
    torch.testing.assert_close(function(**arguments), deform_scan(**arguments))
