"""Compiles the kernels. setup.py and ``python -m mmssm.ops build`` both use it.

It needs torch and the standard library, and it can be loaded by its path without
importing mmssm.
"""

import functools
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

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

_CUDA_FLAGS = ('-std=c++17', '-O3', '-Xcompiler', '-fPIC,-fvisibility=hidden')
# Others of the same generation run these too, later ones the last one's PTX.
_CUDA_ARCHS = ('8.0', '9.0', '10.0', '12.0')
_ARCH = re.compile(r'(\d+)\.(\d[af]?)(\+PTX)?')


class BuildError(RuntimeError):
    """The kernels cannot be compiled here."""


@functools.cache
def source_hash() -> str:
    """Returns a hash of everything that decides what the library does."""
    options = TORCH_TARGET, _FLAGS, _AVX512, _CUDA_FLAGS
    digest = hashlib.sha256(repr(options).encode())
    for path in sorted(SOURCES.rglob('*')):
        if path.suffix in ('.h', '.cpp', '.cuh', '.cu'):
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


class Cuda(NamedTuple):
    """The toolkit that compiles the kernels for CUDA, or why none does."""

    obstacle: str | None
    nvcc: Path = Path()
    version: str = ''
    archs: tuple[str, ...] = ()

    @property
    def libraries(self) -> list[Path]:
        """Folders of the toolkit's libraries, as its compiler names them.

        The compiler may be a script or a link, far from the toolkit.
        """
        said = _run([str(self.nvcc), '--dryrun', 'any.cu']).splitlines()
        lines = [line for line in said if line.startswith('#$ LIBRARIES=')]
        words = shlex.split(lines[0].partition('=')[2]) if lines else []
        return [Path(word[2:]) for word in words if word.startswith('-L')]

    def describe(self) -> str:
        """Says in one line what is compiled for CUDA, or why nothing is."""
        if self.obstacle is not None:
            return f'skipped, {self.obstacle}'
        return f'CUDA {self.version} for {" ".join(self.archs)}'


def find_cuda(torch_cuda: str | None) -> Cuda:
    """Looks for a toolkit of the CUDA that torch is built with; asks for no GPU.

    Args:
        torch_cuda: ``torch.version.cuda``.
    """
    if torch_cuda is None:
        return Cuda('this torch is built without CUDA')
    nvcc = find_nvcc()
    if nvcc is None:
        return Cuda(
            'no nvcc was found (looked in CUDA_HOME, PATH and /usr/local/cuda); '
            f'install the toolkit of CUDA {torch_cuda}'
        )
    version = nvcc_version(nvcc)
    if version.split('.')[0] != torch_cuda.split('.')[0]:
        return Cuda(f'{nvcc} is of CUDA {version}, but torch is of CUDA {torch_cuda}')
    return Cuda(None, nvcc, version, cuda_archs(nvcc))


def find_nvcc() -> Path | None:
    """Returns CUDA's compiler: of ``CUDA_HOME``, ``PATH``, or the usual place."""
    home = os.environ.get('CUDA_HOME')
    if home:
        places = [str(Path(home) / 'bin')]
    else:
        places = [os.environ.get('PATH', os.defpath), '/usr/local/cuda/bin']
    found = shutil.which('nvcc', path=os.pathsep.join(places))
    return Path(found) if found else None


def nvcc_version(nvcc: Path) -> str:
    """Returns the version of a toolkit, as in ``13.0``.

    Raises:
        BuildError: If the compiler does not say.
    """
    said = _run([str(nvcc), '--version'])
    match = re.search(r'release (\d+\.\d+)', said)
    if match is None:
        raise BuildError(f'{nvcc} --version names no release:\n{said}')
    return match.group(1)


def cuda_archs(nvcc: Path) -> tuple[str, ...]:
    """The architectures to compile for: ``TORCH_CUDA_ARCH_LIST``, or the usual.

    Of the variable, which images of PyTorch set for all that PyTorch supports, those
    before 8.0 are left out.

    Raises:
        BuildError: If the variable names one that is unknown, or none from 8.0 on.
    """
    named = os.environ.get('TORCH_CUDA_ARCH_LIST', '').replace(';', ' ').split()
    archs = []
    for arch in named:
        match = _ARCH.fullmatch(arch)
        if match is None:
            raise BuildError(
                f'TORCH_CUDA_ARCH_LIST names {arch!r}, expected architectures as in '
                '"8.0 9.0+PTX"'
            )
        if int(match.group(1)) >= 8:
            archs.append(arch)
    if named:
        if not archs:
            raise BuildError(
                f'TORCH_CUDA_ARCH_LIST={" ".join(named)} names no architecture from '
                '8.0 on, as in "8.0 9.0+PTX"'
            )
        return tuple(archs)
    # A toolkit knows no GPU that is younger than itself.
    known = _run([str(nvcc), '--list-gpu-arch']).split()
    usual = [a for a in _CUDA_ARCHS if f'compute_{a.replace(".", "")}' in known]
    if not usual:
        raise BuildError(f'{nvcc} compiles for none of {", ".join(_CUDA_ARCHS)}')
    return *usual[:-1], f'{usual[-1]}+PTX'


def _arch_flags(archs: Sequence[str]) -> list[str]:
    flags = []
    for arch in archs:
        number = arch.removesuffix('+PTX').replace('.', '')
        flags += ['-gencode', f'arch=compute_{number},code=sm_{number}']
        if arch.endswith('+PTX'):
            flags += ['-gencode', f'arch=compute_{number},code=compute_{number}']
    return flags


def nvcc_command(nvcc: Path, name: str, target: Path, *flags: str) -> list[str]:
    """Returns the command that compiles a kernel file for CUDA."""
    return [
        *(str(nvcc), *_CUDA_FLAGS, *flags),
        *('-c', str(SOURCES / name), '-o', str(target)),
    ]


def cuda_sources() -> list[str]:
    """The files that nvcc compiles, by their names in `SOURCES`."""
    return sorted(f'cuda/{path.name}' for path in SOURCES.glob('cuda/*.cu'))


def build(folder: Path, *, lowered: bool = False, emulated: bool = False) -> Path:
    """Compiles the kernels into a folder.

    The library is put in place in one step, so that several processes may build
    at once and none ever loads half a file.

    Args:
        folder: Where to put it; made if missing.
        lowered: Whether the kernels for AVX-512 are to run on AVX2, which is
            slow; for tests on processors without AVX-512.
        emulated: Whether the ops on the CPU are to run the kernels for CUDA, on an
            emulator, which is very slow; for tests where there is no GPU.

    Returns:
        The path of the library.

    Raises:
        BuildError: If there is no compiler, it fails, or the platform or torch is
            not supported.
    """
    import torch

    _check_platform(torch.__version__)
    compiler = find_compiler()
    cuda = find_cuda(torch.version.cuda)
    print(f'mmssm: kernels for CUDA: {cuda.describe()}', file=sys.stderr)
    root = Path(torch.__file__).parent
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix='.build-') as scratch:
        commands = _compile_commands(
            compiler, root, Path(scratch), torch.__version__, cuda, lowered, emulated
        )
        with ThreadPoolExecutor(max_workers=_num_jobs()) as pool:
            list(pool.map(_run, commands.values()))
        made = Path(scratch) / LIBRARY
        _run(
            [
                *(*shlex.split(compiler), '-shared', '-o', str(made)),
                *(*map(str, commands), f'-L{root / "lib"}', '-ltorch_cpu'),
                *_cuda_link_flags(cuda),
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
    compiler: str,
    torch_root: Path,
    scratch: Path,
    torch_version: str,
    cuda: Cuda,
    lowered: bool,
    emulated: bool,
) -> dict[Path, list[str]]:
    """Returns the command that makes each object file."""
    major, minor = TORCH_TARGET
    with_torch = (
        f'-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000',
        *('-isystem', str(torch_root / 'include')),
        *(('-DMMSSM_CUDA',) if emulated or cuda.obstacle is None else ()),
        *(('-DMMSSM_EMULATED',) if emulated else ()),
    )
    stamps = (
        f'-DMMSSM_STAMP="{stamp(torch_version)}"',
        f'-DMMSSM_CUDA_STATE="{cuda.describe()}"',
    )
    # A file for all processors comes first: should a template ever be compiled in
    # two of them, the linker keeps the first.
    flags: dict[str, Sequence[str]] = {
        'cpu/kernels_baseline.cpp': (),
        'cpu/dispatch.cpp': ('-DMMSSM_LOWERED',) if lowered else (),
        'bindings.cpp': (*stamps, *with_torch),
        'path_scan_bindings.cpp': with_torch,
        'deform_sample_bindings.cpp': with_torch,
    }
    if platform.machine() in _X86 and not emulated:
        flags['cpu/dispatch.cpp'] = ('-DMMSSM_X86', *flags['cpu/dispatch.cpp'])
        flags['cpu/kernels_avx2.cpp'] = _AVX2
        flags['cpu/kernels_avx512.cpp'] = _LOWERED if lowered else _AVX512
    if emulated:
        flags['cuda/emulated.cpp'] = ('-O1', '-Wno-unknown-pragmas')
    commands = {}
    if cuda.obstacle is None and not emulated:
        # The longest first. What cores are left compile for several architectures.
        threads = max(1, _num_jobs() // len(cuda_sources()))
        options = *_arch_flags(cuda.archs), '--threads', str(threads)
        for name in cuda_sources():
            target = scratch / f'{Path(name).stem}.cuda.o'
            commands[target] = nvcc_command(cuda.nvcc, name, target, *options)
    for name, extra in flags.items():
        target = scratch / f'{Path(name).stem}.o'
        commands[target] = [
            *(*shlex.split(compiler), *_FLAGS, *extra),
            *('-c', str(SOURCES / name), '-o', str(target)),
        ]
    return commands


def _cuda_link_flags(cuda: Cuda) -> list[str]:
    if cuda.obstacle is not None:
        return []
    folders = [f'-L{folder}' for folder in cuda.libraries]
    # Some toolkits, pip's among them, lack the name that -lcudart looks for.
    names = [path for f in cuda.libraries for path in sorted(f.glob('libcudart.so*'))]
    return [*folders, '-ltorch_cuda', str(names[0]) if names else '-lcudart']


def _run(command: list[str]) -> str:
    """Runs one command and returns what it printed, errors last.

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
    return done.stdout + done.stderr
