"""Processes that have imported torch and nothing else, at once.

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
import json, os, signal, sys
import torch

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
sys.path[:0] = job['path']
sys.argv[1:] = job['arguments']
exec(compile(job['code'], '<string>', 'exec'))
"""


def _inherited(own: tuple[str, ...]) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(own)}


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, '-c', _SERVER],
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
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Runs code as ``python -c`` does, where torch has been imported.

    Args:
        code: The program.
        arguments: Its ``sys.argv[1:]``.
        path: Folders to import from before all others.
        cwd: Its working directory. Default: this process's.
        environment: What it sees beside this process's environment, less all that
            begins with ``MMSSM_`` or ``COVERAGE_``.

    Returns:
        What :func:`subprocess.run` does: the exit status, negative for a signal,
        and what was written.
    """
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, name) for name in ('stdout', 'stderr')]
        job = {
            'code': textwrap.dedent(code),
            'arguments': list(map(str, arguments)),
            'path': list(map(str, path)),
            'cwd': str(cwd or Path.cwd()),
            'environment': _inherited(('MMSSM_', 'COVERAGE_')) | environment,
            'outputs': list(map(str, outputs)),
        }
        print(json.dumps(job), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(
            code, status, *(output.read_text() for output in outputs)
        )
