"""Checks the ops and models on a machine with an NVIDIA GPU, stage by stage.

    tools/gpu_check.sh [--out DIR] [--dry-run] [STAGE ...]

Each stage has its own time limit and writes its results to the output folder as soon
as it has them: a log of its own, its rows in ``results.json``, how it ended in
``summary.md``. A stage that fails or runs out of time does not end the others; the exit
status is 1 then. ``--dry-run`` walks the stages on the CPU, at small sizes.
"""

import argparse
import dataclasses
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks._gpu import read_results
from benchmarks._measure import REPOSITORY, Row, table
from mmssm.ops import _library

SKIPPED = 77
"""Exit status of a command that says in its last line why it did nothing."""
PATIENCE = 15
"""Seconds from the interruption of a command to its end."""
DRY_PATIENCE = 10
"""How many times its limit a stage may take in a dry run."""
RESULTS, SUMMARY = 'results.json', 'summary.md'
FILES = ('cuda', 'mamba_ssm', 'selective_scan', 'path_scan', 'deform_sample',
         'deform_scan', 'precision', 'rows', 'integration', 'fuzz')  # fmt: skip
GRID = 'tests/proof/small_grid.py'
MOST_LINE = 400


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run is told.

    Args:
        out: Folder of the results.
        dry: Whether to walk the stages on the CPU at small sizes.
    """

    out: Path
    dry: bool

    @property
    def device(self) -> str:
        """Where everything runs."""
        return 'cpu' if self.dry else 'cuda'


Command = list[str]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        limit: Seconds that it may take.
        commands: Its commands, which all run, one after the other.
        environment: Variables that they see.
    """

    limit: int
    commands: Callable[[Settings], list[Command]]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a stage ended.

    Args:
        stage: Its name.
        status: ``passed``, ``failed``, ``out of time`` or ``skipped``.
        seconds: How long it took.
        note: The last line that it said.
    """

    stage: str
    status: str
    seconds: float
    note: str

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return self.status in ('passed', 'skipped')


def _module(name: str, *arguments: str) -> Command:
    return [sys.executable, '-m', name, *arguments]


def build_commands(settings: Settings) -> list[Command]:
    """Builds the kernels unless they are there, and says what there is."""
    there = _library.obstacle(settings.device) is None
    build = [] if there else [_module('mmssm.ops', 'build')]
    return [*build, _module('mmssm.ops'), _module('benchmarks.gpu_check', '--kernels',
                                                  settings.device)]  # fmt: skip


def test_commands(settings: Settings) -> list[Command]:
    """The proof of the ops; last, alone, what takes most of the memory."""
    pytest = _module('pytest', '-q', '-p', 'no:cacheprovider', '--confcutdir=tests/ops')
    if settings.dry:
        chosen = 'same_bits or autocast or int32 or side_of_a_grid'
        return [[*pytest, 'tests/ops/test_cuda.py', '-k', chosen]]
    files = [f'tests/ops/test_{name}.py' for name in FILES]
    workers = []
    if importlib.util.find_spec('xdist') is not None:
        count = min(8, os.cpu_count() or 1)
        workers = ['-n', str(count), '--dist', 'worksteal']
    return [
        [*pytest, *workers, '-m', 'not large', *files],
        [*pytest, '-m', 'large', 'tests/ops/test_cuda.py'],
    ]


def bench_commands(settings: Settings) -> list[Command]:
    """The ops beside their peers."""
    return [_benchmark('benchmarks.ops.gpu', settings)]


def models_commands(settings: Settings) -> list[Command]:
    """Training with AMP, and the models beside their peers."""
    return [_benchmark('benchmarks.models.gpu', settings)]


def _benchmark(name: str, settings: Settings) -> Command:
    dry = ['--tiny', '--seconds', '0'] if settings.dry else []
    return _module(name, '--out', str(settings.out / RESULTS), '--device',
                   settings.device, *dry)  # fmt: skip


def sanitize_commands(settings: Settings) -> list[Command]:
    """compute-sanitizer over all kernels, on a small grid."""
    grid = [sys.executable, GRID, '--device', settings.device]
    if settings.dry:
        return [[*grid, '--few']]
    sanitizer = find_sanitizer()
    if sanitizer is None:
        return [_module('benchmarks.gpu_check', '--no-sanitizer')]
    return [
        [sanitizer, '--tool', tool, '--error-exitcode', '9', *options, *grid]
        for tool, options in (
            # PyTorch asks the driver what it answers with errors, and handles them.
            ('memcheck', ['--report-api-errors', 'no']),
            # It follows every access: of our kernels only, or it takes an hour.
            ('racecheck', ['--kernel-name', 'kns=mmssm']),
        )
    ]


def find_sanitizer() -> str | None:
    """Returns compute-sanitizer, which toolkits keep beside nvcc or below it."""
    homes = [os.environ.get('CUDA_HOME'), '/usr/local/cuda']
    places = [os.environ.get('PATH', os.defpath)]
    for home in filter(None, homes):
        places += [f'{home}/bin', f'{home}/compute-sanitizer']
    return shutil.which('compute-sanitizer', path=os.pathsep.join(places))


STAGES = {
    'build': Stage(150, build_commands),
    'test': Stage(
        360,
        test_commands,
        {'MMSSM_REQUIRE_NATIVE': '1', 'OMP_NUM_THREADS': '2'},
    ),
    'bench': Stage(210, bench_commands),
    'models': Stage(180, models_commands, {'MMSSM_REQUIRE_NATIVE': '1'}),
    'sanitize': Stage(
        120,
        sanitize_commands,
        # A block of its own for each tensor, or an access beside it hits another's.
        {'PYTORCH_NO_CUDA_MEMORY_CACHING': '1', 'MMSSM_REQUIRE_NATIVE': '1'},
    ),
}
"""In the order in which they run; the first two, and the others, fit nine minutes."""


def run_stage(name: str, settings: Settings) -> Outcome:
    """Runs the commands of a stage, with a log."""
    stage = STAGES[name]
    environment = {
        **os.environ,
        'PYTHONUNBUFFERED': '1',
        'MMSSM_TEST_DEVICES': settings.device,
        **stage.environment,
    }
    if not settings.dry and 'TORCH_CUDA_ARCH_LIST' not in environment:
        major, minor = torch.cuda.get_device_capability()
        environment['TORCH_CUDA_ARCH_LIST'] = f'{major}.{minor}'
    start = time.perf_counter()
    # The limits are those of a machine with a GPU.
    deadline = start + (DRY_PATIENCE if settings.dry else 1) * stage.limit
    statuses, last = [], ''
    with (settings.out / f'{name}.log').open('w') as log:
        for command in stage.commands(settings):
            status, said = run_command(command, environment, deadline, log)
            statuses.append(status)
            last = said or last
    status = max(statuses, key=('skipped', 'passed', 'failed', 'out of time').index)
    return Outcome(name, status, time.perf_counter() - start, last)


def run_command(
    command: Command, environment: dict[str, str], deadline: float, log
) -> tuple[str, str]:
    """Runs a command until it ends or its time is over.

    Args:
        command: The command, run in the root of the repository.
        environment: Its environment.
        deadline: When it is interrupted, by `time.perf_counter`.
        log: File that it writes to, as well as to the standard output.

    Returns:
        How it ended, and the last line that it said.
    """

    def say(line: str) -> None:
        log.write(line)
        log.flush()
        sys.stdout.write(line)
        sys.stdout.flush()

    say(f'$ {shlex.join(command)}\n')
    left = deadline - time.perf_counter()
    if left <= 0:
        say('no time is left for it\n')
        return 'out of time', 'no time was left for the last command'
    # In a group of its own, so that its workers end with it.
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, errors='replace',
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    late = threading.Event()

    def interrupt() -> None:
        late.set()
        for number, wait in ((signal.SIGINT, PATIENCE), (signal.SIGKILL, PATIENCE)):
            try:
                os.killpg(process.pid, number)
                process.wait(wait)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    timer = threading.Timer(left, interrupt)
    timer.start()
    last = ''
    try:
        assert process.stdout is not None
        for line in process.stdout:
            say(line)
            last = line.strip() or last
        process.wait()
    finally:
        timer.cancel()
    if late.is_set():
        say('out of time\n')
        return 'out of time', last[:MOST_LINE]
    if process.returncode == SKIPPED:
        return 'skipped', last[:MOST_LINE]
    return 'passed' if process.returncode == 0 else 'failed', last[:MOST_LINE]


def summarise(outcomes: Sequence[Outcome], results: dict[str, dict]) -> str:
    """Returns the page of a run: how its stages ended, and their tables."""
    lines = ['# GPU check', '', '| stage | ended | seconds | last words |']
    lines.append('| --- | --- | ---: | --- |')
    for outcome in outcomes:
        note = outcome.note.replace('|', '/')
        lines.append(
            f'| {outcome.stage} | {outcome.status} | {outcome.seconds:.0f} | {note} |'
        )
    for section in results.values():
        lines += ['', *section_lines(section, '##')]
    return '\n'.join(lines) + '\n'


def section_lines(section: dict, heading: str) -> list[str]:
    """The lines of one benchmark of ``results.json``."""
    rows = [
        Row(**{key: value for key, value in row.items() if key != 'met'})
        for row in section['rows']
    ]
    gates = [row.met() for row in rows if row.gate is not None]
    counted = [met for met in gates if met in ('aim', 'yes', '**no**')]
    lines = [
        f'{heading} {section["title"]}',
        '',
        f'{sum(met != "**no**" for met in counted)} of {len(counted)} gates met; '
        f'{len(gates) - len(counted)} more could not be measured or do not count.',
        '',
        *(f'- {name}: {value}' for name, value in section['context'].items()),
    ]
    if not section['finished']:
        lines.append('- **it did not come to its end**')
    lines += [f'- **failed**: {f["case"]}: {f["error"]}' for f in section['failures']]
    return [*lines, '', table(rows)]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='tools/gpu_check.sh',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'stages', nargs='*', metavar='STAGE',
        help=f'of {", ".join(STAGES)} (default: all, in this order)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path,
        default=os.environ.get('OUT') or REPOSITORY / 'work_dirs' / 'gpu-check',
        help='folder for results (default: $OUT, or work_dirs/gpu-check)',
    )  # fmt: skip
    parser.add_argument(
        '--dry-run', action='store_true', help='on the CPU, at small sizes'
    )
    parser.add_argument('--kernels', metavar='DEVICE', help=argparse.SUPPRESS)
    parser.add_argument('--no-sanitizer', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    unknown = [stage for stage in args.stages if stage not in STAGES]
    if unknown:
        parser.error(f'no stage {unknown[0]!r}; the stages are {", ".join(STAGES)}')
    needs_gpu = not (args.dry_run or args.kernels or args.no_sanitizer)
    if needs_gpu and not torch.cuda.is_available():
        parser.error(
            'PyTorch finds no NVIDIA GPU here; --dry-run walks the stages on the CPU'
        )
    return args


def main(argv: list[str] | None = None) -> int:
    """Runs the stages; returns the exit status."""
    args = parse_args(argv)
    if args.kernels:
        obstacle = _library.obstacle(args.kernels)
        print(obstacle or f'compiled kernels serve {args.kernels}')
        return 0 if obstacle is None else 1
    if args.no_sanitizer:
        print('no compute-sanitizer was found beside nvcc, in PATH or in CUDA_HOME')
        return SKIPPED
    settings = Settings(Path(args.out).resolve(), args.dry_run)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / RESULTS).unlink(missing_ok=True)
    outcomes: list[Outcome] = []
    wanted = set(args.stages or STAGES)
    if _library.obstacle(settings.device) is not None:
        wanted.add('build')  # which no other stage does without
    for name in STAGES:
        if name not in wanted:
            continue
        outcomes.append(run_stage(name, settings))
        results = read_results(settings.out / RESULTS)
        (settings.out / SUMMARY).write_text(summarise(outcomes, results))
    print('\n' + (settings.out / SUMMARY).read_text())
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


if __name__ == '__main__':
    sys.exit(main())
