"""A copy of the package with kernels of its own, and the tests run on it."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = shutil.ignore_patterns('*.so', '__pycache__')


class ScratchPackage:
    """The package in a folder that nothing else uses.

    Its sources may be changed; its library is looked for in the folder alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = folder / 'mmssm' / 'ops' / 'csrc'
        shutil.copytree(ROOT / 'mmssm', folder / 'mmssm', ignore=SKIPPED)

    def build(self, **environment: str) -> Path:
        """Compiles the kernels; returns the library.

        Raises:
            RuntimeError: If they do not compile.
        """
        done = self._run(['-m', 'mmssm.ops', 'build'], environment, capture_output=True)
        if done.returncode:
            raise RuntimeError(f'the kernels do not compile:\n{done.stderr}')
        (library,) = (self.folder / 'cache').rglob('*.so')
        return library

    def test(
        self, *arguments: str, capture: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs pytest on the repository's tests with this package."""
        return self._run(
            ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', *arguments],
            environment,
            capture_output=capture,
        )

    def _run(
        self, arguments: Sequence[str], environment: dict[str, str], **options: bool
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                # Before the checkout, which `-m` would put first.
                'PYTHONSAFEPATH': '1',
                'PYTHONPATH': str(self.folder),
                'XDG_CACHE_HOME': str(self.folder / 'cache'),
                'MMSSM_REQUIRE_NATIVE': '1',
                **environment,
            },
            text=True,
            **options,
        )


@contextmanager
def scratch_package() -> Iterator[ScratchPackage]:
    """Makes a copy of the package, and removes it afterwards."""
    with tempfile.TemporaryDirectory(prefix='mmssm-proof-') as folder:
        yield ScratchPackage(Path(folder))
