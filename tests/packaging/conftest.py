"""A source distribution of this checkout, wheels made of it, environments.

Nothing here uses the network: build environments see setuptools, and torch where
a test wants it, through links to what runs the tests.
"""

import importlib.util
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.compilers import hasty
from helpers.environments import Environment, run

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
