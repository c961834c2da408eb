"""Commands in plain environments, and environments that see chosen packages."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path


def run(
    command: list, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a plain environment; its output is in the error."""
    own = ('MMSSM_', 'PYTHON', 'COVERAGE_', 'CXX', 'MAX_JOBS')
    base = {name: v for name, v in os.environ.items() if not name.startswith(own)}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=base | {'OMP_NUM_THREADS': '1'} | environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result


class Environment:
    """An empty virtual environment that sees chosen packages by links."""

    def __init__(self, folder: Path, *packages: str) -> None:
        run([sys.executable, '-m', 'venv', '--without-pip', folder], folder.parent)
        self.folder = folder
        self.python = folder / 'bin' / 'python'
        borrowed = folder / 'borrowed'
        borrowed.mkdir()
        for name in packages:
            if (spec := importlib.util.find_spec(name)) is not None:
                source = Path(spec.origin)
                source = source.parent if source.stem == '__init__' else source
                (borrowed / source.name).symlink_to(source)
                for info in source.parent.glob(f'{name}-*.dist-info'):
                    (borrowed / info.name).symlink_to(info)
        self.see(borrowed)

    def see(self, path: Path) -> None:
        """Put a folder on the environment's path, behind its own packages."""
        site = next(self.folder.glob('lib/python*/site-packages'))
        (site / f'{path.name}.pth').write_text(f'{path}\n')

    def install(self, wheel: Path) -> None:
        """Install a wheel with the pip of the running environment."""
        pip = [sys.executable, '-m', 'pip', '--python', self.python, 'install']
        options = ('-q', '--no-compile', '--no-deps', '--no-index')
        run([*pip, *options, wheel], self.folder)

    def run(self, *arguments: str, **environment: str) -> str:
        """Run Python outside of the checkout; returns what it prints."""
        cache = {'XDG_CACHE_HOME': str(self.folder / 'cache')}
        result = run([self.python, *arguments], self.folder, **cache | environment)
        return result.stdout + result.stderr
