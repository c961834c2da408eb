"""What does each instruction set bring?

Every instruction set runs in processes of its own (``MMSSM_CPU_ISA`` forces it), in
turns, on one thread.
"""

import json
import os
import subprocess
import sys

import torch

from benchmarks._measure import REPOSITORY, Row, interleave, run
from benchmarks.ops.shapes import A, B
from benchmarks.ops.training import train_step
from mmssm.ops import selective_scan

SETS = ('baseline', 'avx2', 'avx512')
TURNS = 3


def measure(seconds: float) -> list[Row]:
    """Measures shapes a and b, in both directions."""
    best: dict[str, dict[str, float]] = {}
    reasons: dict[str, str] = {}
    for _ in range(TURNS):
        for isa in SETS:
            if isa in reasons:
                continue
            done = _run_worker(isa, seconds / TURNS / len(SETS))
            if done.returncode:
                reasons[isa] = done.stderr.strip().splitlines()[-1]
                continue
            for case, time in json.loads(done.stdout).items():
                known = best.setdefault(case, {})
                known[isa] = min(known.get(isa, time), time)
    return [row for case, times in best.items() for row in _rows(case, times, reasons)]


def _run_worker(isa: str, seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'benchmarks.ops.isa', '--worker', str(seconds)],
        cwd=REPOSITORY,
        env={**os.environ, 'MMSSM_CPU_ISA': isa, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )


def _rows(case: str, times: dict[str, float], reasons: dict[str, str]) -> list[Row]:
    details = {isa: 1e3 * time for isa, time in times.items()}
    both = 'avx2' in times and 'avx512' in times
    missing = '; '.join(f'{isa}: {reason}' for isa, reason in reasons.items())
    rows = [
        Row(case, 'avx512 / avx2', times['avx512'] / times['avx2'] if both else None,
            0.55, details=details, note=missing)
    ]  # fmt: skip
    if 'baseline' in times and 'avx2' in times:
        rows.append(Row(case, 'baseline / avx2', times['baseline'] / times['avx2']))
    return rows


def work(seconds: float) -> dict[str, float]:
    """Times this process's instruction set."""
    torch.set_num_threads(1)
    times = {}
    for shape in (A, B):
        arguments = shape.arguments()
        step = train_step(selective_scan, arguments, delta_softplus=True)
        with torch.inference_mode():
            forward = interleave(
                {'': lambda a=arguments: selective_scan(**a, delta_softplus=True)},
                seconds,
            )
        times[f'{shape}, forward'] = forward['']
        times[f'{shape}, forward + backward'] = interleave({'': step}, seconds)['']
    return times


if __name__ == '__main__':
    if sys.argv[1:2] == ['--worker']:
        print(json.dumps(work(float(sys.argv[2]))))
    else:
        run(measure, __doc__, sys.argv[1:])
