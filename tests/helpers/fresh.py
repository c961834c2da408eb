"""Processes that have imported torch and no more than is asked for, at once.

To start Python and import torch takes seconds. A server has done so and forks
whenever such a process is asked for.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

_SERVER = """
import importlib, json, os, signal, sys
import torch

path, imported = json.loads(sys.argv[1])
sys.path[:0] = path
for name in imported:
    importlib.import_module(name)

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

signal.alarm(300)  # none is waited for longer
for number, name in enumerate((os.devnull, *job['outputs'])):
    os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
os.environ.clear()
os.environ.update(job['environment'])
os.chdir(job['cwd'])
sys.path[:0] = [place for place in job['path'] if place not in sys.path]
sys.argv[1:] = job['arguments']
exec(compile(job['code'], '<string>', 'exec'))
"""


def _inherited(own: tuple[str, ...]) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(own)}


@functools.cache
def _server(path: tuple[str, ...], imported: tuple[str, ...]) -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, '-c', _SERVER, json.dumps([path, imported])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_inherited(('MMSSM_', 'COVERAGE_', 'PYTHONPATH')),
        cwd='/',
        text=True,
    )
    atexit.register(server.communicate)
    return server


def run(
    code: str,
    *arguments: object,
    path: Sequence[Path] = (),
    cwd: Path | None = None,
    imported: Sequence[str] = (),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Runs code as ``python -c`` does, where torch has been imported.

    Args:
        code: The program.
        arguments: Its ``sys.argv[1:]``.
        path: Folders to import from before all others.
        cwd: Its working directory. Default: this process's.
        imported: Modules that it has imported besides torch, from ``path``.
        environment: What it sees beside this process's environment, less all that
            begins with ``MMSSM_`` or ``COVERAGE_``.

    Returns:
        What :func:`subprocess.run` does: the exit status, negative for a signal,
        and what was written.
    """
    path = tuple(map(str, path))
    server = _server(path if imported else (), tuple(imported))
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ('stdout', 'stderr')]
        job = {
            'code': textwrap.dedent(code),
            'arguments': list(map(str, arguments)),
            'path': path,
            'cwd': str(cwd or Path.cwd()),
            'environment': _inherited(('MMSSM_', 'COVERAGE_')) | environment,
            'outputs': list(map(str, outputs)),
        }
        print(json.dumps(job), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(
            code, status, *(output.read_text() for output in outputs)
        )
