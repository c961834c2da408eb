"""What do the ops cost to build, to store and to import?"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._measure import REPOSITORY, Row, run
from mmssm.ops import _build

IMPORTS = """
import time, torch
start = time.perf_counter()
import mmssm.ops
print(time.perf_counter() - start)
"""


def measure(seconds: float) -> list[Row]:
    """Builds the library once and imports it several times."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        library = _build.build(Path(folder))
        build = time.perf_counter() - start
        size = library.stat().st_size / 1e6
    imports = min(_import_seconds() for _ in range(5))
    return [
        Row('build of the library', 'time', build, 30, at_least=False, unit=' s'),
        Row('library', 'size', size, 2, at_least=False, unit=' MB'),
        Row('import mmssm.ops after torch', 'time', 1e3 * imports, 60,
            at_least=False, unit=' ms'),
    ]  # fmt: skip


def _import_seconds() -> float:
    done = subprocess.run(
        [sys.executable, '-c', IMPORTS],
        cwd=REPOSITORY,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == '__main__':
    run(measure, __doc__, sys.argv[1:])
