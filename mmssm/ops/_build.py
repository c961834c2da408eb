"""Compiles the kernels. setup.py and ``python -m mmssm.ops build`` both use it.

It needs torch and the standard library, and it can be loaded by its path without
importing mmssm.
"""

import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / 'csrc'
LIBRARY = 'libmmssm_ops.so'
# The oldest PyTorch whose stable interface the library uses.
TORCH_TARGET = (2, 11)

# -Wno-psabi: vectors wider than the processor's never cross a function call.
_FLAGS = (
    *('-std=c++17', '-O3', '-funroll-loops', '-fPIC', '-fvisibility=hidden'),
    *('-fno-strict-aliasing', '-Wno-psabi'),
)
_X86 = ('x86_64', 'AMD64')
_AVX2 = ('-mavx2', '-mfma')
_AVX512 = (*_AVX2, '-mavx512f', '-mavx512vl', '-mavx512dq', '-mavx512bw')
# The 64-byte vectors of AVX-512, as pairs of AVX2's.
_LOWERED = (*_AVX2, '-DMMSSM_VECTOR_BYTES=64')
_COMPILERS = ('g++', 'clang++', 'c++')


class BuildError(RuntimeError):
    """The kernels cannot be compiled here."""


@functools.cache
def source_hash() -> str:
    """Returns a hash of everything that decides what the library does."""
    digest = hashlib.sha256(repr((TORCH_TARGET, _FLAGS, _AVX512)).encode())
    for path in sorted(SOURCES.rglob('*')):
        if path.suffix in ('.h', '.cpp'):
            digest.update(path.relative_to(SOURCES).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def stamp(torch_version: str) -> str:
    """Returns the mark of a library built from these sources with that torch."""
    return f'sources={source_hash()} torch={torch_version}'


def cache_folder(torch_version: str) -> Path:
    """Returns the user's folder for a library of these sources and that torch."""
    root = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(root) / 'mmssm' / f'torch-{torch_version}-{source_hash()[:16]}'


def find_compiler() -> str:
    """Returns the C++ compiler: the one ``CXX`` names, or the first there is.

    Raises:
        BuildError: If there is none.
    """
    named = os.environ.get('CXX')
    for name in (named,) if named else _COMPILERS:
        found = shutil.which(shlex.split(name)[0])
        if found:
            return name
    asked = f'CXX={named}' if named else ', '.join(_COMPILERS)
    raise BuildError(
        f'no C++ compiler found (looked for {asked}); install GCC 12 or newer '
        '(Debian and Ubuntu: apt-get install g++) or name one in CXX'
    )


def build(folder: Path, *, lowered: bool = False) -> Path:
    """Compiles the kernels into a folder.

    The library is put in place in one step, so that several processes may build
    at once and none ever loads half a file.

    Args:
        folder: Where to put it; made if missing.
        lowered: Whether the kernels for AVX-512 are to run on AVX2, which is
            slow; for tests on processors without AVX-512.

    Returns:
        The path of the library.

    Raises:
        BuildError: If there is no compiler, it fails, or the platform or torch is
            not supported.
    """
    import torch

    _check_platform(torch.__version__)
    compiler = find_compiler()
    root = Path(torch.__file__).parent
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix='.build-') as scratch:
        commands = _compile_commands(
            compiler, root, Path(scratch), torch.__version__, lowered
        )
        with ThreadPoolExecutor(max_workers=_num_jobs()) as pool:
            list(pool.map(_run, commands.values()))
        made = Path(scratch) / LIBRARY
        _run(
            [
                *(*shlex.split(compiler), '-shared', '-o', str(made)),
                *(*map(str, commands), f'-L{root / "lib"}', '-ltorch_cpu'),
            ]
        )
        target = folder / LIBRARY
        os.replace(made, target)
    return target


def _check_platform(torch_version: str) -> None:
    if sys.platform == 'win32':
        raise BuildError('the kernels need GCC or Clang, which Windows builds lack')
    version = tuple(int(part) for part in torch_version.split('.')[:2])
    if version < TORCH_TARGET:
        wanted = '.'.join(map(str, TORCH_TARGET))
        raise BuildError(f'the kernels need torch >= {wanted}, found {torch_version}')


def _num_jobs() -> int:
    return int(os.environ.get('MAX_JOBS') or os.cpu_count() or 1)


def _compile_commands(
    compiler: str, torch_root: Path, scratch: Path, torch_version: str, lowered: bool
) -> dict[Path, list[str]]:
    """Returns the command that makes each object file."""
    major, minor = TORCH_TARGET
    # A file for all processors comes first: should a template ever be compiled in
    # two of them, the linker keeps the first.
    with_torch = (
        f'-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000',
        *('-isystem', str(torch_root / 'include')),
    )
    flags: dict[str, Sequence[str]] = {
        'cpu/kernels_baseline.cpp': (),
        'cpu/dispatch.cpp': ('-DMMSSM_LOWERED',) if lowered else (),
        'bindings.cpp': (f'-DMMSSM_STAMP="{stamp(torch_version)}"', *with_torch),
        'path_scan_bindings.cpp': with_torch,
        'deform_sample_bindings.cpp': with_torch,
    }
    if platform.machine() in _X86:
        flags['cpu/dispatch.cpp'] = ('-DMMSSM_X86', *flags['cpu/dispatch.cpp'])
        flags['cpu/kernels_avx2.cpp'] = _AVX2
        flags['cpu/kernels_avx512.cpp'] = _LOWERED if lowered else _AVX512
    commands = {}
    for name, extra in flags.items():
        target = scratch / f'{Path(name).stem}.o'
        commands[target] = [
            *(*shlex.split(compiler), *_FLAGS, *extra),
            *('-c', str(SOURCES / name), '-o', str(target)),
        ]
    return commands


def _run(command: list[str]) -> None:
    """Runs one command.

    Raises:
        BuildError: If it fails, with the end of what it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f'cannot run {command[0]}: {error}') from error
    if done.returncode:
        raise BuildError(
            f'{shlex.join(command)} failed:\n{done.stderr.strip()[-4000:]}'
        )
