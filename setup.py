"""Build steps beside what pyproject.toml declares.

Two things go into a wheel that setuptools does not know of:

* ``mmssm/.mim``: configs, tools, demo and model-index.yml, where MMEngine and
  ``mim`` look for them. An editable install gets links instead of copies.
* the native operator library, when torch is there to build against
  (``--no-build-isolation``). Without torch or a compiler, or with
  ``MMSSM_BUILD=0``, the wheel is pure Python and carries the kernels' sources.
"""

import importlib.util
import os
import shutil
import sys
import warnings
from pathlib import Path
from types import ModuleType

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM = ('configs', 'demo', 'model-index.yml', 'tools')
LEFT_OUT = shutil.ignore_patterns('__pycache__', '*.py[cod]')


def load_builder() -> ModuleType:
    """Load mmssm/ops/_build.py by its path, without importing mmssm."""
    path = ROOT / 'mmssm' / 'ops' / '_build.py'
    spec = importlib.util.spec_from_file_location('mmssm_ops_build', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def link_or_copy(source: Path, target: Path, link: bool) -> None:
    """Put ``source`` at ``target``, replacing what an earlier build left."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
    if link:
        target.symlink_to(os.path.relpath(source, target.parent))
    elif source.is_dir():
        shutil.copytree(source, target, ignore=LEFT_OUT)
    else:
        shutil.copy2(source, target)


class BuildPy(build_py):
    """Copies the modules, then adds ``.mim`` and the native library."""

    native: Path | None = None

    def run(self) -> None:
        super().run()
        package = (ROOT if self.editable_mode else Path(self.build_lib)) / 'mmssm'
        mim = package / '.mim'
        mim.mkdir(parents=True, exist_ok=True)
        for name in MIM:
            link_or_copy(ROOT / name, mim / name, link=self.editable_mode)
        self.native = self.build_native(package / 'ops')

    def build_native(self, folder: Path) -> Path | None:
        """Compile the kernels into ``folder``; None, and a line why, if not."""
        obstacle = self.obstacle()
        if obstacle is None:
            builder = load_builder()
            try:
                return builder.build(folder)
            except (builder.BuildError, ImportError) as error:
                obstacle = str(error)
        # pip shows a build's warnings; what it prints is shown under -v alone.
        warnings.warn(
            f'mmssm: the native operators are not built ({obstacle}); '
            '`python -m mmssm.ops build` builds them later',
            stacklevel=2,
        )
        return None

    @staticmethod
    def obstacle() -> str | None:
        if os.environ.get('MMSSM_BUILD') == '0':
            return 'MMSSM_BUILD=0'
        if importlib.util.find_spec('torch') is None:
            return 'torch is not in the build environment: --no-build-isolation'
        return None


class BdistWheel(bdist_wheel):
    """Tags the wheel by what was built.

    The library uses torch's C++ interface and none of Python's, so a wheel that
    holds it is bound to a platform, not to a Python version.
    """

    def get_tag(self) -> tuple[str, str, str]:
        if self.get_finalized_command('build_py').native is None:
            return super().get_tag()
        self.root_is_pure = False
        *_, platform = super().get_tag()
        return 'py3', 'none', platform


setup(cmdclass={'build_py': BuildPy, 'bdist_wheel': BdistWheel})
