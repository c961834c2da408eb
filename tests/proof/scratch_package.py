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

    def build(self, emulated: bool = False, **environment: str) -> Path:
        """Compiles the kernels, or those for CUDA on the emulator.

        Returns:
            The library.

        Raises:
            RuntimeError: If they do not compile.
        """
        code = (
            'import torch; from mmssm.ops import _build; '
            f'_build.build(_build.cache_folder(torch.__version__), {emulated=})'
        )
        done = self.run([sys.executable, '-c', code], True, **environment)
        if done.returncode:
            raise RuntimeError(f'the kernels do not compile:\n{done.stderr}')
        (library,) = (self.folder / 'cache').rglob('*.so')
        return library

    def test(
        self, *arguments: str, capture: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs pytest on the repository's tests with this package."""
        pytest = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
        return self.run([*pytest, *arguments], capture, **environment)

    def run(
        self, command: Sequence[str], capture: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command that sees this package."""
        return subprocess.run(
            command,
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
            capture_output=capture,
        )


@contextmanager
def scratch_package() -> Iterator[ScratchPackage]:
    """Makes a copy of the package, and removes it afterwards."""
    with tempfile.TemporaryDirectory(prefix='mmssm-proof-') as folder:
        yield ScratchPackage(Path(folder))
