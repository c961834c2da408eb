"""What the scans keep for the backward, and what they take at their peak."""

import json
import os
import subprocess
import sys

import pytest
import torch
from helpers.modules import ROOT
from helpers.scan_arguments import path_arguments

from mmssm.ops import backend, path_scan


def scan(paths, arguments):
    rest = {k: v for k, v in arguments.items() if k not in ('x0', 'x1')}
    return path_scan((arguments['x0'], arguments['x1']), paths=paths, **rest)


def test_saves_inputs_and_checkpoints_only(native):
    paths, arguments = path_arguments(2, 256, 16, 4, 8, dtype=torch.float32, grad=True)
    saved = {}
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda t: saved.setdefault(t.data_ptr(), t), lambda t: t
    )
    with hooks:
        scan(paths, arguments)
    inputs = {t.data_ptr() for t in (*arguments.values(), paths.index)}
    extra = [t for pointer, t in saved.items() if pointer not in inputs]
    # One state of (d_state, E) every 64 steps.
    assert [t.numel() for t in extra] == [2 * 4 * (256 // 64) * 8 * 16]


def test_reference_backward_grows_linearly():
    """What autograd keeps per step must not grow with the length."""
    kept = {}
    for L in (64, 256):
        paths, arguments = path_arguments(1, L, 4, 2, 4, grad=True)
        sizes = []
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: sizes.append(t.numel()) or t, lambda t: t
        )
        with hooks, backend('reference'):
            scan(paths, arguments)
        kept[L] = sum(sizes)
    assert kept[256] < 4.5 * kept[64]
    # Far less than all states: 256 steps of (N, K, E, d_state).
    assert kept[256] < 256 * 4 * 4 * 4 * 4


PEAKS = """
import json, sys, torch
from benchmarks._measure import peak_memory
from benchmarks.ops import deform, paths
from benchmarks.ops.shapes import Shape
from benchmarks.ops.training import train_step
from mmssm.ops import selective_scan

torch.set_num_threads(1)
arguments = Shape('', 2, 4, 128, 1024).arguments()
forward = torch.inference_mode()(
    lambda: selective_scan(**arguments, delta_softplus=True)
)
peaks = {
    'selective': peak_memory(forward),
    'selective + backward':
        peak_memory(train_step(selective_scan, arguments, delta_softplus=True)),
    'arguments': sum(t.nbytes for t in arguments.values()),
    'output': arguments['u'].nbytes,
}
for name in paths.VARIANTS:
    for case in paths.CASES:
        peaks[f'paths, {name}, {case}'] = peak_memory(paths.call(name, case))
arguments = deform.LARGE.arguments()
for name, function in deform.VARIANTS.items():
    for case in deform.CASES:
        peaks[f'{name}, {case}'] = peak_memory(deform.call(function, arguments, case))
N, L, E = arguments['x'].shape
peaks['one tap of every token'] = N * L * 4
peaks['all tokens'] = arguments['x'].nbytes
print(json.dumps(peaks))
"""


@pytest.fixture(scope='module')
def peaks():
    """Peaks of resident memory in a fresh process, in bytes, by name."""
    sys.path.append(str(ROOT))
    from benchmarks._measure import MEMORY_ENVIRONMENT

    where = os.pathsep.join([os.environ.get('PYTHONPATH', ''), str(ROOT)])
    done = subprocess.run(
        [sys.executable, '-c', PEAKS],
        env={**os.environ, **MEMORY_ENVIRONMENT, 'PYTHONPATH': where},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


MARGIN = 1e6  # scratch of the threads, and the grain of the measurement


def test_forward_takes_little_more_than_its_output(native_on_cpu, peaks):
    """All states of all steps would be 16 times the output."""
    assert peaks['selective'] < 1.2 * peaks['output'] + MARGIN


def test_backward_takes_a_small_multiple_of_its_gradients(native_on_cpu, peaks):
    gradients = peaks['arguments'] + peaks['output']
    assert peaks['selective + backward'] < 1.5 * gradients + MARGIN


@pytest.mark.parametrize('case', ['forward', 'forward + backward'])
def test_paths_take_a_fraction_of_copies(native_on_cpu, peaks, case):
    assert peaks[f'paths, ours, {case}'] <= 0.3 * peaks[f'paths, copies, {case}']


def test_samples_are_not_made(native_on_cpu, peaks):
    """Beside the output, where the taps read: 4 corners, their weights and tokens.

    The samples of one tap alone would be as large as all tokens.
    """
    taps = 9 * 12 * peaks['one tap of every token']
    room = peaks['all tokens'] + taps + MARGIN
    assert room < 1.5 * peaks['all tokens']
    assert peaks['ours, forward'] < room


def test_samples_are_not_kept(native_on_cpu, peaks):
    """The samples of 9 taps are 9 times the tokens, and so is their gradient."""
    ours = peaks['ours, forward + backward']
    assert ours < peaks['sample, then scan, forward + backward']
    assert ours < peaks['grid_sample, then scan, forward + backward'] / 4
