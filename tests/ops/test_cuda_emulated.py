"""Tests of the kernels for CUDA where there is no GPU, on the emulator.

A build for tests lets the ops on the CPU run the very kernels, planner and launches of
the ops on a GPU; `csrc/cuda/emulator.h` says how. What only a GPU can show, the
rounding of its own exponential and the kernels' speed, is not tested here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mmssm
from mmssm.ops import _build

ROOT = Path(mmssm.__file__).resolve().parents[1]
TOLERANCE = {
    torch.float32: 3e-5,
    torch.float64: 1e-10,
    torch.bfloat16: 2e-2,
    torch.float16: 3e-3,
}

SCANS = """
import sys, torch, warnings
warnings.simplefilter('error')
import mmssm.ops
from mmssm.ops import (
    ScanPaths, deform_sample, deform_scan, path_scan, selective_scan)

generator = torch.Generator().manual_seed(0)
found, expected = [], []

def normal(dtype, *shape):
    values = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return values.to(dtype).requires_grad_()

def compare(call, tensors):
    for backend, results in ('native', found), ('reference', expected):
        with mmssm.ops.backend(backend):
            outputs = call()
        total = sum(y.double().square().sum() for y in outputs)
        results += [y.detach() for y in outputs]
        results += torch.autograd.grad(total, tensors)

def selective(dtype, E, G, d, L, softplus=True):
    u, delta = normal(dtype, 2, E, L), normal(dtype, 2, E, L)
    A, B, C = normal(dtype, E, d), normal(dtype, 2, G, d, L), normal(dtype, 2, G, d, L)
    D, bias, state = normal(dtype, E), normal(dtype, E), normal(dtype, 2, E, d)
    compare(
        lambda: selective_scan(
            u, delta if softplus else delta.abs(), -A.abs(), B, C, D, None,
            bias if softplus else bias.abs(), softplus, True, state),
        [u, delta, A, B, C, D, state, bias])

def along_paths(dtype, E, d, L, R, segment=None, N=2):
    order = torch.stack([torch.randperm(L, generator=generator), torch.arange(L)])
    paths = ScanPaths(order, [(0, 0, False), (0, 1, True), (1, 0, True)], segment)
    x = [normal(dtype, N, L, E) for _ in range(2)]
    dt, A = normal(dtype, N, 3, L, R or E), normal(dtype, 3, E, d)
    B, C = normal(dtype, N, 3, L, d), normal(dtype, N, 3, L, d)
    D, bias = normal(dtype, 3, E), normal(dtype, 3, E)
    weight = normal(dtype, 3, E, R) if R else None
    parts = () if segment is None else (paths.num_segments,)
    state = normal(dtype, N, 3, *parts, E, d)
    compare(
        lambda: path_scan(
            x, dt, -A.abs(), B, C, D, bias, paths, dt_weight=weight,
            initial_state=state, return_last_state=True),
        [*x, dt, A, B, C, D, bias, state, *[weight] * bool(R)])

def sampled(dtype, E, G, M, side, d, by_channel):
    L = side * side
    anchors = normal(dtype, M, 2).detach().round()
    x, offset = normal(dtype, 2, L, E), normal(dtype, 2, L, G, M, 2)
    weight = normal(dtype, *((E, M) if by_channel else (2, L, G, M)))
    places = [x, offset, weight]
    compare(lambda: [deform_sample(*places, anchors, (side, side))], places)
    order = torch.randperm(L, generator=generator)
    paths = ScanPaths(order[None], [(0, 0, False), (0, 0, True)])
    dt, A = normal(dtype, 2, 2, L, 2), normal(dtype, 2, E, d)
    B, C = normal(dtype, 2, 2, L, d), normal(dtype, 2, 2, L, d)
    D, dt_weight = normal(dtype, 2, E), normal(dtype, 2, E, 2)
    compare(
        lambda: [deform_scan(
            *places, anchors, (side, side), dt, -A.abs(), B, C, D, None, paths,
            dt_weight=dt_weight)],
        [*places, dt, A, B, C, D, dt_weight])

single, double, half = torch.float32, torch.float64, torch.bfloat16
# Every layout of the kernels; 65 and 33 rows leave threads idle.
selective(double, 6, 2, 16, 37)
selective(double, 2, 2, 1, 37)
selective(single, 65, 1, 1, 20)
selective(single, 4, 1, 3, 17, softplus=False)
selective(single, 33, 1, 8, 17)
selective(single, 65, 1, 16, 17)
selective(half, 3, 1, 16, 19)
selective(half, 3, 1, 17, 19)
selective(torch.float16, 3, 1, 2, 19)
# More groups than a scan may have paths.
selective(single, 34, 17, 2, 5)
selective(double, 4, 2, 17, 5)
# Split over the length: 257 steps and more are three spans, also of segments.
selective(single, 2, 1, 1, 600)
selective(single, 1, 1, 16, 400)
along_paths(single, 5, 1, 400, 2, N=1)
along_paths(single, 5, 4, 40, 3)
# Rows enough for a small GPU to add the paths up in the kernel.
along_paths(single, 3, 1, 17, 2, N=4)
along_paths(double, 3, 2, 20, 0, N=5)
along_paths(double, 5, 2, 40, 0, segment=17)
along_paths(double, 3, 17, 70, 2, segment=65, N=1)
along_paths(half, 3, 2, 33, 2)
sampled(double, 5, 1, 4, 4, 1, by_channel=False)
sampled(single, 40, 2, 2, 3, 1, by_channel=True)
sampled(single, 6, 3, 1, 3, 16, by_channel=False)
torch.save((found, expected), sys.argv[1])
"""


@pytest.fixture(scope='module')
def emulated(tmp_path_factory):
    """A copy of the ops that runs the kernels for CUDA on the CPU."""
    if shutil.which('g++') is None:
        pytest.skip('no g++')
    root = tmp_path_factory.mktemp('emulated')
    package = root / 'mmssm'
    package.mkdir()
    shutil.copy(ROOT / 'mmssm' / '__init__.py', package)
    shutil.copytree(
        ROOT / 'mmssm' / 'ops',
        package / 'ops',
        ignore=shutil.ignore_patterns('*.so', '__pycache__'),
    )
    _build.build(package / 'ops', emulated=True)
    return root


def compute(package, target, order, multiprocessors):
    """Returns results of the kernels and of the reference."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith('MMSSM_')}
    done = subprocess.run(
        [sys.executable, '-c', SCANS, str(target)],
        env=kept
        | {
            'PYTHONPATH': str(package),
            'MMSSM_REQUIRE_NATIVE': '1',
            'MMSSM_EMULATOR_ORDER': order,
            'MMSSM_EMULATOR_SIZE': str(multiprocessors),
        },
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(target, weights_only=True)


@pytest.mark.long
def test_kernels_give_what_the_reference_gives(emulated, tmp_path):
    by_order = []
    # A large GPU splits rows and lengths, a small one puts them one after the other.
    # A number seeds an order in which some warps are far ahead of others.
    for order, size in ('forward', 132), ('reverse', 132), ('7', 132), ('8', 1):
        found, expected = compute(emulated, tmp_path / 'found.pt', order, size)
        assert len(found) == len(expected) > 100
        for number, (actual, wanted) in enumerate(zip(found, expected, strict=True)):
            error = (actual - wanted).abs().max() / wanted.abs().max()
            assert error <= TOLERANCE[wanted.dtype], (order, size, number, error)
        by_order.append(found)
    # Threads that do not wait for each other where they must would show.
    for other in by_order[1:3]:
        assert all(map(torch.equal, by_order[0], other))
