"""What only a GPU can show of the ops, and that it computes what the CPU does.

The whole proof beside this file runs on a GPU too, where there is one. The tests that
take ``device`` run on every device; on the CPU, at small sizes, they test themselves.
"""

import contextlib

import pytest
import torch
from helpers import devices, scan_cases
from helpers.op_cases import OPS, Case, along_paths, deformed, sampled, selective
from helpers.scan_arguments import F64, ONE

from mmssm.ops import (
    ScanPaths,
    backend,
    deform_sample,
    deform_scan,
    path_scan,
    selective_scan,
)

from .conftest import running_on

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason=devices.NO_GPU)
HALF = (torch.bfloat16, torch.float16)
# RMS errors relative to the RMS of what is expected; both sides compute half
# precision in single and round at the end.
TOLERANCES = {
    F64: 1e-11,
    torch.float32: 2e-5,
    torch.bfloat16: 2**-8,
    torch.float16: 2**-11,
}
# Elements of the largest tensor; on a GPU, more than an int32 counts.
LARGE = {'cpu': 2**11, 'cuda': 2**31 + 2**21}
LARGE_BYTES = 60e9


ops = pytest.mark.parametrize('op', OPS)

# The shapes of models, by the letters of the makers; on a CPU smaller ones.
MODEL_SHAPES = {
    'PoseMamba-S, a clip': (along_paths, dict(N=1, L=4131, E=128, R=4, d_state=16)),
    'PoseMamba-S, clips': (along_paths, dict(N=6, L=4131, E=128, R=4, d_state=16)),
    'frames': (along_paths, dict(N=700, L=17, E=128, R=4, d_state=16)),
    'segments': (along_paths, dict(N=4, L=4131, E=64, R=4, d_state=16, segment=243)),
    'DF-Mamba, stage 3': (
        deformed, dict(N=4, H=16, W=16, E=320, M=9, R=20, d_state=16),
    ),
    'DF-Mamba, stage 5': (deformed, dict(N=8, H=8, W=8, E=640, M=9, R=40, d_state=16)),
    'samples': (sampled, dict(N=4, H=31, W=33, E=130, M=9)),
    'VMamba-T': (selective, dict(N=2, E=768, L=3136, d_state=1, groups=4)),
    'Hamba': (selective, dict(N=64, E=4096, L=22, d_state=1, groups=4)),
    'any number of states': (selective, dict(N=2, E=66, L=515, d_state=20, groups=1)),
}  # fmt: skip
SMALLER = dict(N=2, E=8, L=70, H=4, W=5, d_state=4)


@pytest.fixture(params=devices.devices())
def device(request):
    """Runs the test on the compiled kernels of each device."""
    with running_on(request.param, 'native'):
        yield request.param


@pytest.fixture
def gpu():
    """Runs the test on the kernels for CUDA."""
    with running_on('cuda', 'native'):
        yield torch.device('cuda', torch.cuda.current_device())


@needs_gpu
def test_there_are_kernels_for_this_gpu(gpu):
    case = selective()
    assert case.tensors['u'].is_cuda
    assert case.run()['output'].is_cuda


@pytest.mark.parametrize('dtype', [torch.float32, F64, *HALF])
@pytest.mark.parametrize('shape', MODEL_SHAPES)
def test_computes_what_the_cpu_does(device, shape, dtype):
    make, sizes = MODEL_SHAPES[shape]
    if device == 'cpu':
        sizes = {k: min(SMALLER.get(k, v), v) for k, v in sizes.items()}
    got = make(**sizes, dtype=dtype).run()
    with running_on('cpu', 'native'):
        expected = make(**sizes, dtype=dtype).run()
    for name, tensor in expected.items():
        assert got[name].device.type == device
        assert got[name].dtype == tensor.dtype, name
        error = scan_cases.error(got[name], devices.exact(tensor))
        assert error < TOLERANCES[tensor.dtype], (name, error)


@ops
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_the_same_bits_every_time(device, op, dtype):
    case = OPS[op](dtype=dtype, N=3)
    expected = case.run()
    for _ in range(3):
        # Freed memory that the next call finds is full of something else.
        for size in (2**10, 2**14, 2**18):
            torch.full((size,), torch.nan)
        got = case.run()
        assert all(torch.equal(got[name], expected[name]) for name in expected)


@needs_gpu
@pytest.mark.parametrize('shape', MODEL_SHAPES)
def test_the_same_bits_at_the_shapes_of_models(gpu, shape):
    make, sizes = MODEL_SHAPES[shape]
    case = make(**sizes)
    expected = case.run()
    for _ in range(5):
        got = case.run()
        assert all(torch.equal(got[name], expected[name]) for name in expected)


def _selective_rows(elements):
    """A scan of 16 steps of two channels for each row, of so many elements."""
    rows = elements // 32
    one = torch.ones(rows, 1, 1, 1, dtype=torch.bfloat16)
    u = torch.randn(rows, 2, 16).bfloat16().requires_grad_()
    weight = one.expand(-1, -1, -1, 16)
    A = -torch.ones(2, 1)

    def call(part):
        v = weight[: len(part)]
        return selective_scan(part, part.detach(), A, v, v, delta_softplus=True)

    return u, call


def _path_rows(elements):
    rows = elements // 32
    u = torch.randn(rows, 16, 2).bfloat16().requires_grad_()
    weight = torch.ones(rows, 1, 1, 1, dtype=torch.bfloat16).expand(-1, -1, 16, -1)
    paths = ScanPaths(torch.arange(16)[None], ((0, 0, True),))
    A, dt_weight = -torch.ones(1, 2, 1), torch.ones(1, 2, 1)

    def call(part):
        v = weight[: len(part)]
        return path_scan(part, v, A, v, v, None, None, paths, dt_weight=dt_weight)

    return u, call


def _sample_rows(elements):
    # Wide, as a tap takes as much memory as dozens of elements.
    rows = elements // 512
    u = torch.randn(rows, 16, 32).bfloat16().requires_grad_()
    one = torch.ones(rows, 1, 1, 1, dtype=torch.bfloat16)
    weight = one.expand(-1, 16, -1, -1)
    offset = (one / 4)[..., None].expand(-1, 16, -1, -1, 2)
    anchors = torch.zeros(1, 2)

    def call(part):
        rows = len(part)
        return deform_sample(part, offset[:rows], weight[:rows], anchors, (4, 4))

    return u, call


def _deform_rows(elements):
    u, _ = _sample_rows(elements)
    one = torch.ones(len(u), 1, 1, 1, dtype=torch.bfloat16)
    taps, offset = one.expand(-1, 16, -1, -1), (one / 4)[..., None]
    weight, offset = one.expand(-1, -1, 16, -1), offset.expand(-1, 16, -1, -1, 2)
    paths = ScanPaths(torch.arange(16)[None], ONE)
    A, dt_weight = -torch.ones(1, 32, 1), torch.ones(1, 32, 1)

    def call(part):
        v, rows = weight[: len(part)], len(part)
        return deform_scan(
            part, offset[:rows], taps[:rows], torch.zeros(1, 2), (4, 4), v, A, v, v,
            None, None, paths, dt_weight=dt_weight,
        )  # fmt: skip

    return u, call


@pytest.mark.large
@pytest.mark.parametrize(
    'make', [_selective_rows, _path_rows, _sample_rows, _deform_rows]
)
def test_more_elements_than_an_int32_counts(device, make):
    """The last rows are what they are alone; more rows than any grid has, too."""
    if device == 'cuda' and torch.cuda.mem_get_info()[0] < LARGE_BYTES:
        pytest.skip(f'less than {LARGE_BYTES / 1e9:.0f} GB of memory are free')
    u, call = make(LARGE[device])
    rows, row = len(u), u[0].numel()
    y = call(u)
    (gradient,) = torch.autograd.grad(y, u, torch.ones(()).to(y).expand_as(y))
    # The first, those around the 2^31st element, and the last.
    middle = 2**31 // row
    for part in (slice(0, 3), slice(middle - 2, middle + 2), slice(rows - 3, rows)):
        if part.stop > rows:
            continue
        few = u[part].detach().clone().requires_grad_()
        expected = call(few)
        torch.testing.assert_close(y[part], expected)
        (wanted,) = torch.autograd.grad(expected, few, torch.ones_like(expected))
        torch.testing.assert_close(gradient[part], wanted)
    del y, gradient, u, call
    if device == 'cuda':
        torch.cuda.empty_cache()


@pytest.mark.parametrize('by', ['rows', 'channels', 'groups'])
def test_more_blocks_than_a_side_of_a_grid(device, by):
    """65,535 is the most that the second and third side of a grid have."""
    size = {'cpu': 7, 'cuda': 70_001}[device]
    sizes = dict(N=1, E=2, L=3, d_state=1, groups=1)
    sizes |= {
        'rows': dict(N=size),
        'channels': dict(E=32 * size),
        'groups': dict(E=size, groups=size),
    }[by]
    case = selective(**sizes)
    got = case.run()
    with backend('reference'):
        expected = case.run()
    for name, tensor in expected.items():
        error = scan_cases.error(got[name], devices.exact(tensor))
        assert error < TOLERANCES[tensor.dtype], (name, error)


@needs_gpu
@ops
def test_on_a_stream_of_its_own(gpu, op):
    """The op waits for what its own stream has to do first, and for nothing else."""
    case = OPS[op]()
    expected = case.run()
    late = {k: torch.zeros_like(t) for k, t in case.tensors.items()}
    late = {k: t.requires_grad_(case.tensors[k].requires_grad) for k, t in late.items()}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)  # a tenth of a second
        with torch.no_grad():
            for name, tensor in late.items():
                tensor.copy_(case.tensors[name])
        got = Case(case.call, late).run()
    stream.synchronize()
    assert all(torch.equal(got[name], expected[name]) for name in expected)


@needs_gpu
@ops
def test_streams_side_by_side(gpu, op):
    """Scratch memory is nobody else's."""
    case = OPS[op](N=3)
    expected = case.run()
    torch.cuda.synchronize()
    results = []
    for _ in range(4):
        with torch.cuda.stream(torch.cuda.Stream()):
            results += [case.run() for _ in range(3)]
    torch.cuda.synchronize()
    for got in results:
        assert all(torch.equal(got[name], expected[name]) for name in expected)


@needs_gpu
@ops
def test_on_another_gpu_than_the_current_one(op):
    if torch.cuda.device_count() < 2:
        pytest.skip('there is one GPU')
    with running_on('cuda:0', 'native'):
        expected = OPS[op]().run()
    with running_on('cuda:1', 'native'):
        assert torch.cuda.current_device() == 0
        got = OPS[op]().run()
        assert got['output'].device.index == 1
        assert torch.cuda.current_device() == 0
    for name, tensor in expected.items():
        torch.testing.assert_close(got[name].to('cuda:0'), tensor)


@needs_gpu
@ops
def test_tensors_on_two_devices_are_an_error(gpu, op):
    case = OPS[op]()
    for name in case.tensors:
        apart = {**case.tensors, name: case.tensors[name].cpu()}
        with pytest.raises(ValueError, match=r'is on (cpu|cuda)'):
            case.call(apart)


@needs_gpu
@ops
def test_captured_in_a_cuda_graph(gpu, op):
    """Forward and backward, replayed on other values."""
    case = OPS[op]()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            case.run()
    torch.cuda.current_stream().wait_stream(side)
    leaves = [t for t in case.tensors.values() if t.requires_grad]
    cotangents = [torch.randn_like(y) for y in case.call(case.tensors)]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = case.call(case.tensors)
        gradients = torch.autograd.grad(outputs, leaves, cotangents)
    for _ in range(3):
        with torch.no_grad():
            for name in ('u', 'x0', 'x'):
                if name in case.tensors:
                    case.tensors[name].normal_()
        graph.replay()
        expected = case.call(case.tensors)
        wanted = torch.autograd.grad(expected, leaves, cotangents)
        for a, b in zip((*outputs, *gradients), (*expected, *wanted), strict=True):
            assert torch.equal(a, b)


@needs_gpu
def test_compiles_with_the_default_compiler(gpu):
    """All four ops in one graph without a break, forward and backward."""
    torch.compiler.reset()
    cases = {op: make() for op, make in OPS.items()}

    def network(tensors):
        outputs = [
            y.sin() for op, case in cases.items() for y in case.call(tensors[op])
        ]
        return sum(y.square().mean() for y in outputs)

    tensors = {op: case.tensors for op, case in cases.items()}
    leaves = [t for of in tensors.values() for t in of.values() if t.requires_grad]
    compiled = torch.compile(network, fullgraph=True)
    expected, got = network(tensors), compiled(tensors)
    torch.testing.assert_close(got, expected)
    for a, b in zip(
        torch.autograd.grad(got, leaves),
        torch.autograd.grad(expected, leaves),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@needs_gpu
def test_compiles_to_a_cuda_graph(gpu):
    torch.compiler.reset()
    case = along_paths()
    tensors = {k: t.detach() for k, t in case.tensors.items()}
    compiled = torch.compile(
        lambda tensors: case.call(tensors)[0] * 2,
        fullgraph=True,
        mode='reduce-overhead',
    )
    with torch.no_grad():
        for _ in range(4):
            tensors['x0'].normal_()
            expected = case.call(tensors)[0] * 2
            torch.testing.assert_close(compiled(tensors).clone(), expected)


@pytest.mark.parametrize('dtype', HALF)
@pytest.mark.parametrize('op', ['path_scan', 'deform_sample', 'deform_scan'])
def test_autocast_gives_what_the_state_is(device, op, dtype):
    case = OPS[op](dtype=dtype)
    narrow = case.call(case.tensors)[0]
    with devices.autocast(dtype):
        wide = case.call(case.tensors)[0]
    assert (narrow.dtype, wide.dtype) == (dtype, torch.float32)
    assert torch.equal(wide.to(dtype), narrow)


@ops
def test_gradients_are_those_of_what_is_computed(device, op):
    case = OPS[op](dtype=F64, N=1)
    names = [k for k, t in case.tensors.items() if t.requires_grad]

    def function(*values):
        return case.call(case.tensors | dict(zip(names, values, strict=True)))

    inputs = tuple(case.tensors[name] for name in names)
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)


@needs_gpu
@pytest.mark.parametrize('training', [False, True])
def test_paths_take_little_memory(gpu, training):
    """Beside what is returned: checkpoints and parts of sums, no copies of tokens."""
    case = along_paths(N=8, L=4131, E=128, R=4, d_state=16)
    tensors = case.tensors
    context = contextlib.nullcontext() if training else torch.no_grad()

    def work():
        y = case.call(tensors)[0]
        return torch.autograd.grad(y.sum(), list(tensors.values())) if training else y

    with context:
        work()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        peak = torch.cuda.max_memory_allocated() - before
    tokens = tensors['x0'].nbytes
    given = sum(t.nbytes for t in tensors.values())
    # One output for each path before they are added, and as much for each gradient.
    assert peak < (2 * given + 24 * tokens if training else 8 * tokens)
