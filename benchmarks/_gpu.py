"""Timing on a GPU, and results that are on the disk as soon as they exist.

All of it runs on a CPU too, by the clock of the system, so that a benchmark can be
tried where there is no GPU.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks._measure import Row, describe_machine

SLOT = 0.05
"""Seconds for which a variant is called in its turn."""
MOST_CALLS = 100
"""Calls in a turn: the queue of a GPU holds a thousand launches."""
CACHE_BYTES = 2**28
"""What the input sets of a variant are together, if one is smaller: more than the
caches of any GPU hold."""
MOST_SETS = 8
SPECIAL_PER_CLOCK = 16
"""Exponentials and the like that a multiprocessor makes in a clock, from sm_80 on."""

DRY_RUN = 'cpu: a dry run, which says nothing of a GPU'

Function = Callable[[], object]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what every benchmark on a GPU is told."""
    parser.add_argument('--out', type=Path, required=True, help='JSON file to write')
    parser.add_argument('--device', default='cuda', help='cuda or cpu')
    parser.add_argument(
        '--seconds', type=float, default=2.0, help='time for each comparison'
    )
    parser.add_argument(
        '--tiny', action='store_true',
        help='shrink all sizes, to try the benchmark rather than measure',
    )  # fmt: skip


def check_device(parser: argparse.ArgumentParser, device: str) -> None:
    """Stops with an error of the command line if there is no such device."""
    if device.startswith('cuda') and not torch.cuda.is_available():
        parser.error(f'--device {device}, but PyTorch finds no NVIDIA GPU here')


def synchronize(device: torch.device) -> None:
    """Waits until a device has done what it was given."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def num_sets(nbytes: int) -> int:
    """How many sets of inputs of a size a comparison takes in turns.

    A call that found its inputs in the cache would be timed too short.
    """
    return min(MOST_SETS, max(1, math.ceil(CACHE_BYTES / max(nbytes, 1))))


@dataclasses.dataclass
class Comparison:
    """Times of variants that took turns.

    Args:
        seconds: Median time of one call of each.
        failed: Why a variant could not be called.
    """

    seconds: dict[str, float]
    failed: dict[str, str]

    def check(self, name: str) -> None:
        """Raises an error if a variant that must run could not be called."""
        if name in self.failed:
            raise RuntimeError(f'{name} failed: {self.failed[name]}')

    def best(self, names: Sequence[str]) -> str | None:
        """The fastest of some variants, of those that could be called."""
        there = [name for name in names if name in self.seconds]
        return min(there, key=self.seconds.__getitem__, default=None)

    def milliseconds(self) -> dict[str, float]:
        """The times as `Row` shows them."""
        return {name: 1e3 * seconds for name, seconds in self.seconds.items()}

    def note(self) -> str:
        """What is to be said of those that could not be called."""
        return '; '.join(f'{name}: {why}' for name, why in self.failed.items())


def compare(
    variants: Mapping[str, Sequence[Function]],
    device: torch.device,
    seconds: float,
    rounds: int = 3,
) -> Comparison:
    """Times functions in turns; on a GPU between events, in the stream.

    Before each turn the GPU is kept busy until all its calls are queued, so that the
    time of launching them is not measured but where it is longer than their work.

    Args:
        variants: By name, the function on each of several sets of inputs, which are
            taken in turns.
        device: Where they run.
        seconds: Time to spend, after two warm-up calls on every set.
        rounds: Least number of turns of each.

    Returns:
        The comparison.
    """
    estimates, failed = {}, {}
    for name, functions in variants.items():
        try:
            estimates[name] = _warm_up(functions, device)
        except (RuntimeError, ValueError) as error:
            # Too little memory, or a shape that a peer does not know.
            failed[name] = (str(error).splitlines() or [type(error).__name__])[0]
            if device.type == 'cuda':
                torch.cuda.empty_cache()
    samples: dict[str, list[float]] = {name: [] for name in estimates}
    deadline = time.perf_counter() + seconds
    turn = 0
    while turn < rounds or time.perf_counter() < deadline:
        for name, (work, launch) in estimates.items():
            functions = variants[name]
            calls = min(MOST_CALLS, max(1, int(SLOT / max(work, launch, 1e-7))))
            queued = [functions[(turn + i) % len(functions)] for i in range(calls)]
            samples[name] += _time_each(queued, device, launch * calls)
        turn += 1
    medians = {name: statistics.median(times) for name, times in samples.items()}
    return Comparison(medians, failed)


def _warm_up(
    functions: Sequence[Function], device: torch.device
) -> tuple[float, float]:
    """Returns about how long a call takes, and its launch."""
    for function in functions:
        function()
    synchronize(device)
    start = time.perf_counter()
    for function in functions:
        function()
    launched = time.perf_counter()
    synchronize(device)
    done = time.perf_counter()
    return (done - start) / len(functions), (launched - start) / len(functions)


def _time_each(
    functions: Sequence[Function], device: torch.device, launching: float
) -> list[float]:
    if device.type != 'cuda':
        times = []
        for function in functions:
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return times
    events = [torch.cuda.Event(enable_timing=True) for _ in range(len(functions) + 1)]
    # Two thousand million clocks are about a second.
    torch.cuda._sleep(int(2e9 * min(1.5 * launching, 0.1)))
    events[0].record()
    for function, event in zip(functions, events[1:], strict=True):
        function()
        event.record()
    torch.cuda.synchronize(device)
    return [
        before.elapsed_time(after) / 1e3 for before, after in itertools.pairwise(events)
    ]


def peak_bytes(function: Function, device: torch.device) -> int | None:
    """By how many bytes a call raises the memory of a GPU at its peak.

    Returns:
        The bytes, what the call returns among them; None on a CPU.
    """
    if device.type != 'cuda':
        return None
    function()
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    result = function()
    torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device)
    del result  # what a call returns is part of what it takes
    return peak - before


def memory_row(
    case: str, sizes: Mapping[str, int | None], ours: str, peer: str, most: float
) -> Row:
    """The memory of one variant beside that of another."""
    a, b = sizes[ours], sizes[peer]
    known = a is not None and b is not None and b > 0
    return Row(
        case,
        f'memory, {ours} / {peer}',
        a / b if known else None,
        most,
        at_least=False,
        details={f'{k} MB': v / 1e6 for k, v in sizes.items() if v is not None},
        note='' if known else 'memory is measured on a GPU',
    )


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allows or forbids TensorFloat32 in products and convolutions of float32."""
    switches = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [switch.allow_tf32 for switch in switches]
    for switch in switches:
        switch.allow_tf32 = allowed
    try:
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def describe(device: torch.device, *distributions: str) -> dict[str, str]:
    """What numbers were measured with, TensorFloat32 included."""
    context = describe_machine(*distributions)
    if device.type != 'cuda':
        return context | {'device': DRY_RUN}
    properties = torch.cuda.get_device_properties(device)
    products = torch.backends.cuda.matmul.allow_tf32
    convolutions = torch.backends.cudnn.allow_tf32
    clock = max_clock(device)
    return context | {
        'device': f'{properties.name}, {properties.multi_processor_count} '
        f'multiprocessors, {properties.total_memory / 2**30:.0f} GiB, sm_'
        f'{properties.major}{properties.minor}',
        'clock': f'{clock / 1e6:.0f} MHz at most' if clock else 'unknown',
        'cuda': str(torch.version.cuda),
        'tf32': f'products {_allowed(products)}, convolutions '
        f'{_allowed(convolutions)}, unless said',
        'timing': 'medians between events, variants in turns over several input sets',
    }


def _allowed(switch: bool) -> str:
    return 'allowed' if switch else 'not allowed'


def max_clock(device: torch.device) -> float | None:
    """The highest clock of the multiprocessors, in hertz, as the driver says it."""
    try:
        done = subprocess.run(
            ['nvidia-smi', '--query-gpu=uuid,clocks.max.sm',
             '--format=csv,noheader,nounits'],
            capture_output=True, text=True, check=True, timeout=20,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return find_clock(done.stdout, str(torch.cuda.get_device_properties(device).uuid))


def find_clock(said: str, uuid: str) -> float | None:
    """Finds a GPU among lines of its UUID and its clock in megahertz."""
    for line in said.splitlines():
        name, _, clock = line.partition(',')
        if name.strip().removeprefix('GPU-') == uuid.removeprefix('GPU-'):
            with contextlib.suppress(ValueError):
                return 1e6 * float(clock)
    return None


def exponential_floor(count: float, device: torch.device) -> float | None:
    """The least seconds in which a GPU's special-function units make exponentials.

    Source: CUDA C++ Programming Guide, throughput of native arithmetic instructions.
    """
    if device.type != 'cuda':
        return None
    clock = max_clock(device)
    if clock is None:
        return None
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    return count / (processors * SPECIAL_PER_CLOCK * clock)


class Results:
    """Rows of one benchmark, written to a file whenever there is a new one.

    Several benchmarks share the file, each under its own name.

    Args:
        path: The file; its other benchmarks stay.
        name: Name of the benchmark.
        title: Heading of its table.
        device: Where it runs; on a CPU no gate counts.
        distributions: Installed distributions whose versions matter.
    """

    def __init__(
        self, path: Path, name: str, title: str, device: torch.device,
        distributions: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.path = path
        self.name = name
        self.counts = device.type == 'cuda'
        self.start = time.perf_counter()
        context = describe(device, *distributions)
        self.section: dict = dict(title=title, context=context, rows=[], failures=[])
        self._write(finished=False)

    def add(self, *rows: Row) -> None:
        """Adds rows, and prints them."""
        for row in rows:
            row.counts &= self.counts
            self.section['rows'].append(dict(dataclasses.asdict(row), met=row.met()))
            print('| ' + ' | '.join(row.cells()) + ' |', flush=True)
        self._write(finished=False)

    @contextlib.contextmanager
    def case(self, name: str) -> Iterator[None]:
        """A case whose failure is written down and does not end the others."""
        try:
            yield
        except Exception as error:  # whatever it is, the other cases are wanted
            said = f'{type(error).__name__}: {error}'
            self.section['failures'].append(dict(case=name, error=said))
            print(f'FAILED {name}: {said}', file=sys.stderr, flush=True)
            self._write(finished=False)

    def finish(self) -> int:
        """Marks the benchmark as complete; returns the exit status."""
        self._write(finished=True)
        return 1 if self.section['failures'] else 0

    def _write(self, finished: bool) -> None:
        self.section['finished'] = finished
        self.section['seconds'] = round(time.perf_counter() - self.start, 1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        results = read_results(self.path) | {self.name: self.section}
        # In place at once: a stop while writing must not lose what is there.
        part = self.path.with_suffix('.part')
        part.write_text(json.dumps(results, indent=1) + '\n')
        os.replace(part, self.path)


def read_results(path: Path) -> dict[str, dict]:
    """Benchmarks of a file of `Results`, by name; none if there is no file."""
    return json.loads(path.read_text()) if path.exists() else {}


def graphed(function: Function, device: torch.device) -> Function:
    """Captures a call in a CUDA graph.

    Args:
        function: Is called a few times first; it must read its inputs from tensors
            that stay, and ask nothing of the CPU.
        device: Where it runs; on a CPU there are no graphs.

    Returns:
        A function that replays the graph and returns its outputs, which are the same
        tensors every time.
    """
    if device.type != 'cuda':
        return function
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = function()

    def replay() -> object:
        graph.replay()
        return outputs

    return replay
