"""Results are the same bits every time, whatever the number of threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from helpers import scan_cases
from helpers.scan_arguments import path_arguments, selective_arguments

# The gradients of dA, dB, dC and the biases are sums over tasks: enough of those.
SELECTIVE = dict(N=5, E=140, L=150, d_state=4, groups=2)
PATHS = dict(N=5, L=150, E=70, R=3, d_state=4)


def selective(dtype):
    arguments = selective_arguments(**SELECTIVE, dtype=dtype, grad=True)
    del arguments['z']  # PyTorch's own SiLU does depend on the threads
    return scan_cases.run_op(*scan_cases.selective_call(arguments, True))


def paths(dtype):
    order, arguments = path_arguments(**PATHS, dtype=dtype, grad=True)
    sources = [arguments.pop('x0'), arguments.pop('x1')]
    return scan_cases.run_op(*scan_cases.path_call(order, sources, arguments))


scans = pytest.mark.parametrize('scan', [selective, paths])
dtypes = pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


@scans
@dtypes
def test_every_number_of_threads(native_on_cpu, scan, dtype):
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 8, 1):
            torch.set_num_threads(threads)
            results.append(scan(dtype))
    finally:
        torch.set_num_threads(before)
    assert all(same(results[0], other) for other in results[1:])


@scans
def test_calls_side_by_side(native_on_cpu, scan):
    """Scratch memory is nobody else's."""
    expected = scan(torch.float32)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(scan, [torch.float32] * 8))
    assert all(same(expected, result) for result in results)
