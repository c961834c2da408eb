"""What the benchmarks share: timing, peak memory, the machine, results."""

import argparse
import ctypes
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import torch

from mmssm.ops import backend

REPOSITORY = Path(__file__).resolve().parents[1]


def describe_machine(*distributions: str) -> dict[str, str]:
    """What numbers were measured with.

    Args:
        *distributions: Installed distributions whose versions matter too.
    """
    model = platform.processor()
    info = Path('/proc/cpuinfo')
    if info.exists():
        names = [
            line.partition(':')[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith('model name')
        ]
        model = names[0] if names else model
    commit = subprocess.run(
        ['git', 'describe', '--always', '--dirty'],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    ).stdout.strip()
    return dict(
        date=datetime.date.today().isoformat(),
        machine=f'{model}, {os.cpu_count()} cores',
        capability=torch.backends.cpu.get_cpu_capability(),
        python=platform.python_version(),
        torch=torch.__version__,
        **{name: metadata.version(name) for name in distributions},
        commit=commit,
    )


def interleave(
    variants: dict[str, Callable[[], object]],
    seconds: float,
    slot: float = 0.03,
    rounds: tuple[int, int] = (3, 200),
) -> dict[str, float]:
    """Times functions in turns, so that a change of the machine meets all alike.

    Args:
        variants: Functions without arguments, by name.
        seconds: Time to spend, after one warm-up call of each.
        slot: Seconds for which a variant is called over and over in its turn.
        rounds: Least and greatest number of turns of each.

    Returns:
        The shortest time of one call of each, in seconds.
    """
    for function in variants.values():
        function()
    best = dict.fromkeys(variants, float('inf'))
    deadline = time.perf_counter() + seconds
    least, most = rounds
    for number in range(most):
        if number >= least and time.perf_counter() > deadline:
            break
        for name, function in variants.items():
            best[name] = min(best[name], _shortest(function, slot))
    return best


def _shortest(function: Callable[[], object], slot: float) -> float:
    shortest = float('inf')
    start = time.perf_counter()
    while True:
        before = time.perf_counter()
        function()
        now = time.perf_counter()
        shortest = min(shortest, now - before)
        if now - start >= slot:
            return shortest


# glibc then gives every large block its own pages and returns them when it is
# freed: without it, what an earlier call left in the heap hides what a later takes.
MEMORY_ENVIRONMENT = {
    'MALLOC_MMAP_THRESHOLD_': '65536',
    'MALLOC_TRIM_THRESHOLD_': '65536',
}


def peak_memory(function: Callable[[], object]) -> int:
    """Returns by how many bytes a call raises the resident memory at its peak.

    The kernel of the operating system counts (``VmHWM``, reset before the call), so
    that nothing escapes: neither PyTorch's tensors nor the scratch of an op. One
    call before it pays for what is allocated once. Run it in a process that has
    `MEMORY_ENVIRONMENT` set from its start.

    Raises:
        RuntimeError: Without that environment, or on another system than Linux.
    """
    if any(os.environ.get(k) != v for k, v in MEMORY_ENVIRONMENT.items()):
        raise RuntimeError(f'peak_memory needs the environment {MEMORY_ENVIRONMENT}')
    status = Path('/proc/self/status')
    reset = Path('/proc/self/clear_refs')
    if not reset.exists():
        raise RuntimeError('peak_memory needs Linux: /proc/self/clear_refs')
    function()
    ctypes.CDLL(None).malloc_trim(0)
    before = _kilobytes(status, 'VmRSS')
    reset.write_text('5')
    result = function()
    peak = _kilobytes(status, 'VmHWM')
    del result  # what a call returns is part of what it takes
    return 1024 * max(peak - before, 0)


def _kilobytes(status: Path, field: str) -> int:
    for line in status.read_text().splitlines():
        if line.startswith(field + ':'):
            return int(line.split()[1])
    raise RuntimeError(f'{status} has no {field}')


@dataclasses.dataclass
class Row:
    """One measured figure and what is asked of it.

    Args:
        case: What was run: shape, direction.
        what: What the figure is, for example ``'lean loop / ours'``.
        value: The figure; None where it cannot be measured, with a `note`.
        gate: What is required; None if the figure only informs.
        aim: What is wished for.
        at_least: Whether more is better.
        unit: Written behind figures.
        details: Times in milliseconds, or sizes in MB, behind the figure.
        note: What a reader must know.
    """

    case: str
    what: str
    value: float | None
    gate: float | None = None
    aim: float | None = None
    at_least: bool = True
    unit: str = 'x'
    details: dict[str, float] = dataclasses.field(default_factory=dict)
    note: str = ''

    def met(self) -> str:
        """How the figure stands: ``aim``, ``yes``, ``no`` or ``-``."""
        if self.value is None or self.gate is None:
            return '-'
        if self.aim is not None and self._reaches(self.aim):
            return 'aim'
        return 'yes' if self._reaches(self.gate) else '**no**'

    def _reaches(self, bound: float) -> bool:
        assert self.value is not None
        return self.value >= bound if self.at_least else self.value <= bound

    def cells(self) -> list[str]:
        """The row of the Markdown table."""

        def bound(value: float | None) -> str:
            sign = '≥' if self.at_least else '≤'
            return '' if value is None else f'{sign} {value:g}{self.unit}'

        value = 'not measured' if self.value is None else f'{self.value:.3g}{self.unit}'
        details = ', '.join(f'{k} {v:.4g}' for k, v in self.details.items())
        note = '; '.join(part for part in (details, self.note) if part)
        return [
            self.case, self.what, bound(self.gate), bound(self.aim), value, self.met(),
            note,
        ]  # fmt: skip


HEADER = ('case', 'figure', 'gate', 'aim', 'measured', 'met', 'ms, or MB, behind it')


def table(rows: Sequence[Row]) -> str:
    """Returns a Markdown table of the rows."""
    lines = [HEADER, ('---', '---', '---:', '---:', '---:', '---', '---')]
    lines += [tuple(row.cells()) for row in rows]
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines)


def run(
    measure: Callable[[float], list[Row]], description: str | None, argv: list[str]
) -> None:
    """Command line of one question: measures, prints the table, writes JSON.

    Args:
        measure: Measures, given the seconds to spend on each comparison.
        description: Text for ``--help``; its first line is the title.
        argv: Arguments.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--out', type=Path, help='JSON file to write')
    parser.add_argument(
        '--seconds', type=float, default=4.0, help='time for each comparison'
    )
    parser.add_argument(
        '--threads', type=int, default=os.cpu_count(), help='threads of PyTorch'
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    start = time.perf_counter()
    with backend('native'):  # figures of the fallback would mislead
        rows = measure(args.seconds)
    title = (description or '').strip().splitlines()[0]
    result = dict(
        title=title,
        context=dict(describe_machine(), threads=args.threads),
        seconds=round(time.perf_counter() - start, 1),
        rows=[dict(dataclasses.asdict(row), met=row.met()) for row in rows],
    )
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + '\n')
    print(f'{title}\n\n{table(rows)}\n', file=sys.stdout, flush=True)
