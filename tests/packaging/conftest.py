"""A source distribution of this checkout, wheels made of it, environments.

Nothing here uses the network: build environments see setuptools, and torch where
a test wants it, through links to what runs the tests.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.compilers import hasty

ROOT = Path(__file__).resolve().parents[2]
SETUPTOOLS = ('setuptools', 'pkg_resources', '_distutils_hack')
# torch and what importing it imports.
TORCH = (
    *('torch', 'torchgen', 'functorch', 'typing_extensions', 'filelock', 'fsspec'),
    *('sympy', 'mpmath', 'networkx', 'jinja2', 'markupsafe'),
)
GENERATED = shutil.ignore_patterns(
    *('.*', '__pycache__', '*.egg-info', '*.so', 'build', 'dist', 'work_dirs')
)


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


@pytest.fixture(scope='session')
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a source distribution of this checkout unpacks to."""
    folder = tmp_path_factory.mktemp('sources')
    shutil.copytree(ROOT, folder / 'checkout', ignore=GENERATED)
    build = 'from setuptools import build_meta; build_meta.build_sdist("..")'
    run([sys.executable, '-c', build], folder / 'checkout')
    (archive,) = folder.glob('mmssm-*.tar.gz')
    with tarfile.open(archive) as file:
        file.extractall(folder, filter='data')
    return folder / archive.name.removesuffix('.tar.gz')


@pytest.fixture(scope='session')
def build_wheel(
    sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, str]]:
    """Builds a wheel the way an installer does; returns it and what was said."""

    def build(python: Path, hook: str = 'wheel', **environment: str):
        folder = tmp_path_factory.mktemp(hook)
        shutil.copytree(sources, folder / 'sources')
        script = f'from setuptools import build_meta; build_meta.build_{hook}("..")'
        result = run([python, '-c', script], folder / 'sources', **environment)
        (wheel,) = folder.glob('*.whl')
        return wheel, result.stderr

    return build


@pytest.fixture(scope='session')
def native_wheel(
    build_wheel: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Built where torch and a compiler are: ``--no-build-isolation``."""
    compiler = hasty(tmp_path_factory.mktemp('compiler'))
    wheel, _ = build_wheel(Path(sys.executable), CXX=str(compiler))
    return wheel


@pytest.fixture(scope='session')
def pure_wheel(build_wheel: Callable) -> Path:
    wheel, _ = build_wheel(Path(sys.executable), MMSSM_BUILD='0')
    return wheel


@pytest.fixture
def torch_alone(tmp_path: Path) -> Environment:
    """An environment with torch and nothing else."""
    return Environment(tmp_path / 'env', *TORCH)


@pytest.fixture(scope='session')
def pure_beside_torch(
    pure_wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """An environment with torch, the pure wheel and nothing else."""
    environment = Environment(tmp_path_factory.mktemp('pure') / 'env', *TORCH)
    environment.install(pure_wheel)
    return environment


@pytest.fixture
def isolated(tmp_path: Path) -> Environment:
    """A build environment with setuptools and nothing else, as pip makes it."""
    return Environment(tmp_path / 'env', *SETUPTOOLS)


@pytest.fixture
def whole_stack(tmp_path: Path) -> Environment:
    """An environment that sees all that the running one has, save mmssm."""
    environment = Environment(tmp_path / 'env')
    environment.see(Path(importlib.util.find_spec('mmengine').origin).parents[1])
    return environment
