"""Tests of the kernels of each instruction set, forced by MMSSM_CPU_ISA.

The choice is made once per process, so every instruction set has its own. The
kernels for AVX-512 run here too, lowered to AVX2 by a build for tests; where the
CPU has AVX-512, they run as they are.
"""

import platform
import shutil
from pathlib import Path

import pytest
import torch
from helpers import fresh
from helpers.compilers import hasty

import mmssm
from mmssm.ops import _build, _library
from mmssm.ops.__main__ import main

ROOT = Path(mmssm.__file__).resolve().parents[1]
# Of the largest value of a tensor: the instruction sets round, contract and sum
# over channels differently.
TOLERANCE = {torch.float32: 3e-6, torch.float64: 1e-13, torch.bfloat16: 1e-2}

SCANS = """
import sys, torch, warnings
warnings.simplefilter('error')
from mmssm.ops import (
    ScanPaths, deform_sample, deform_scan, path_scan, selective_scan)

def results(dtype):
    generator = torch.Generator().manual_seed(0)
    def normal(*shape, dtype=dtype):
        values = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return values.to(dtype).requires_grad_()
    # Long steps take the path with clamps, and 35 channels leave lanes idle.
    for E, d_state, L, scale in (35, 16, 130, 1), (16, 1, 67, 1), (32, 3, 70, 60):
        wide = torch.float32 if dtype == torch.bfloat16 else dtype
        A = normal(2 * E, d_state, dtype=wide)
        tensors = [
            normal(2, 2 * E, L), normal(2, 2 * E, L), A,
            normal(2, 2, d_state, L), normal(2, 2, d_state, L),
            normal(2 * E, dtype=wide), normal(2 * E, dtype=wide),
        ]
        u, delta, A, B, C, D, bias = tensors
        y, state = selective_scan(
            u, delta * scale, -A.abs(), B, C, D, None, bias, True, True)
        yield from (y, state)
        yield from torch.autograd.grad(
            y.float().square().sum() + state.sum(), tensors)
    x, dt, weight = normal(1, 90, 20), normal(1, 2, 90, 3), normal(2, 20, 3)
    B, C, A = normal(1, 2, 90, 4), normal(1, 2, 90, 4), normal(2, 20, 4)
    order = torch.randperm(90, generator=generator)
    paths = ScanPaths(order[None], [(0, 0, False), (0, 0, True)], segment=70)
    y = path_scan(x, dt, -A.abs(), B, C, None, None, paths, dt_weight=weight)
    yield y
    yield from torch.autograd.grad(y.float().square().sum(), [x, dt, A, B, C, weight])
    side = torch.arange(-1, 2, dtype=dtype)
    anchors = torch.cartesian_prod(side, side)
    for weight in normal(40, 9), normal(2, 35, 2, 9):
        x, offset = normal(2, 35, 40), normal(2, 35, weight.dim() // 2, 9, 2)
        y = deform_sample(x, offset, weight, anchors, (5, 7))
        yield y
        yield from torch.autograd.grad(y.float().square().sum(), [x, offset, weight])
        # Two groups of 20 channels share a block of lanes.
        scan = [
            normal(2, 2, 35, 40), normal(2, 40, 4), normal(2, 2, 35, 4),
            normal(2, 2, 35, 4), normal(2, 40), normal(2, 40)]
        dt, A, *rest = scan
        paths = ScanPaths(order[order < 35][None], [(0, 0, False), (0, 0, True)])
        y = deform_scan(
            x, offset, weight, anchors, (5, 7), dt, -A.abs(), *rest, paths)
        yield y
        yield from torch.autograd.grad(
            y.float().square().sum(), [x, offset, weight, *scan])

found = {}
for dtype in torch.float32, torch.float64, torch.bfloat16:
    torch.set_num_threads(1)
    found[dtype] = [t.detach() for t in results(dtype)]
    torch.set_num_threads(2)
    for one, two in zip(found[dtype], results(dtype), strict=True):
        assert torch.equal(one, two), 'the number of threads changes the result'
torch.save(found, sys.argv[1])
"""


def run(code, *arguments, isa, package=ROOT):
    """Runs code in a process of its own, with one instruction set asked for."""
    environment = {'MMSSM_CPU_ISA': isa, 'MMSSM_REQUIRE_NATIVE': '1'}
    return fresh.run(code, *arguments, path=[package], cwd=package, **environment)


def usable():
    obstacle = _library.obstacle('cpu')
    if obstacle is not None:
        pytest.skip(obstacle)
    return _library.cpu_isa()[1].split(', ')


@pytest.fixture(scope='module')
def baseline(tmp_path_factory):
    """What the kernels for every processor compute."""
    usable()
    return compute(tmp_path_factory.mktemp('baseline'), isa='baseline')


@pytest.fixture(scope='module')
def lowered(tmp_path_factory):
    """A copy of the ops whose kernels for AVX-512 need AVX2 only."""
    if platform.machine() not in ('x86_64', 'AMD64'):
        pytest.skip(f'AVX-512 is not for {platform.machine()}')
    if 'avx2' not in usable():
        pytest.skip('this CPU has no AVX2 to lower AVX-512 to')
    if shutil.which('g++') is None:
        pytest.skip('no g++')
    root = tmp_path_factory.mktemp('lowered')
    package = root / 'mmssm'
    package.mkdir()
    shutil.copy(ROOT / 'mmssm' / '__init__.py', package)
    shutil.copytree(
        ROOT / 'mmssm' / 'ops',
        package / 'ops',
        ignore=shutil.ignore_patterns('*.so', '__pycache__'),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('CXX', str(hasty(root, optimised='kernels_avx512.cpp')))
        _build.build(package / 'ops', lowered=True)
    return root


def compute(folder, **options):
    target = folder / 'results.pt'
    done = run(SCANS, target, **options)
    assert done.returncode == 0, done.stderr
    return torch.load(target, weights_only=True)


def assert_alike(found, expected):
    for dtype, tensors in expected.items():
        assert len(found[dtype]) == len(tensors)
        for number, (actual, wanted) in enumerate(
            zip(found[dtype], tensors, strict=True)
        ):
            error = (actual - wanted).abs().max() / wanted.abs().max()
            assert error <= TOLERANCE[dtype], (dtype, number, error)


@pytest.mark.parametrize('isa', ['avx2', 'avx512'])
def test_same_results_as_the_baseline(isa, baseline, tmp_path):
    if isa not in usable():
        pytest.skip(f'this CPU has no kernels for {isa}')
    found = compute(tmp_path, isa=isa)
    assert_alike(found, baseline)
    # The instruction set asked for is the one that ran: its rounding differs.
    assert not all(map(torch.equal, found[torch.float32], baseline[torch.float32]))


@pytest.mark.slow
def test_the_code_for_avx512_on_avx2(lowered, baseline, tmp_path):
    assert_alike(compute(tmp_path, isa='avx512', package=lowered), baseline)


@pytest.mark.parametrize('isa', ['sse9', 'AVX2', 'avx512'])
def test_an_instruction_set_that_cannot_be_used_is_an_error(isa, tmp_path):
    if isa in usable():
        pytest.skip(f'this CPU has {isa}')
    done = run(SCANS, tmp_path / 'none', isa=isa)
    assert done.returncode == 1
    assert f"MMSSM_CPU_ISA asks for the instruction set '{isa}'" in done.stderr
    assert f'this CPU has kernels for {", ".join(usable())} only' in done.stderr


@pytest.mark.parametrize('isa', ['baseline', 'sse9'])
def test_the_report_names_the_instruction_set(isa):
    usable()
    code = 'from mmssm.ops.__main__ import main; main([])'
    done = run(code, isa=isa)
    assert done.returncode == 0, done.stderr
    line = next(s for s in done.stdout.splitlines() if s.startswith('cpu isa:'))
    assert isa in line
    assert 'MMSSM_CPU_ISA' in line


def test_the_report_without_a_library(monkeypatch, capsys):
    monkeypatch.setattr(_library, '_loaded', _library._Loaded(None, 'no luck'))
    main([])
    assert 'cpu isa' not in capsys.readouterr().out
    with pytest.raises(RuntimeError, match='no library is in use: no luck'):
        _library.cpu_isa()
