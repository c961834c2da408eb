"""Finds and loads the compiled kernels, and says why it could not."""

import contextlib
import ctypes
import dataclasses
import re
from pathlib import Path

import torch

from . import _build

_STAMP = re.compile(rb'mmssm-stamp:([^:\0]*):')
_CUDA_STATE = re.compile(rb'mmssm-cuda:([^:\0]*):')
_SKIPPED = 'skipped, '
ISA_ENV = 'MMSSM_CPU_ISA'
_HOW_TO_BUILD = '`python -m mmssm.ops build` compiles them'


@dataclasses.dataclass
class _Loaded:
    path: Path | None = None
    obstacle: str | None = 'they have not been looked for'
    # What is compiled for CUDA, or why nothing is.
    cuda: str = _SKIPPED


# Read by torch.compile, hence a plain object of this module.
_loaded = _Loaded()


def load() -> bool:
    """Loads the first usable library, or remembers why there is none.

    It looks beside this file, where an installation puts the library, then in the
    user's cache, where ``python -m mmssm.ops build`` puts it; where torch is built
    with CUDA, first for one that has kernels for it. A library made from other
    sources is never loaded.

    Returns:
        Whether there is a library, and so are its ops.
    """
    obstacles = []
    for path in sorted(candidates(), key=_lacks_cuda):
        obstacle = _check(path) or _load(path)
        if obstacle is None:
            _loaded.path, _loaded.obstacle = path, None
            _loaded.cuda = _find(_CUDA_STATE, path) or _SKIPPED
            return True
        obstacles.append(obstacle)
    # The most telling reason is of a file that is there.
    found = [reason for reason in obstacles if reason != _NOT_BUILT]
    _loaded.obstacle = found[0] if found else _NOT_BUILT
    return False


_NOT_BUILT = f'the kernels are not built; {_HOW_TO_BUILD}'


def candidates() -> tuple[Path, Path]:
    """The places a library may be in, first choice first."""
    return (
        Path(__file__).resolve().parent / _build.LIBRARY,
        _build.cache_folder(torch.__version__) / _build.LIBRARY,
    )


def path() -> Path | None:
    """The library in use."""
    return _loaded.path


def obstacle(device_type: str) -> str | None:
    """Why tensors on such a device cannot be served, or None if they can."""
    if _loaded.obstacle is not None:
        return _loaded.obstacle
    if device_type == 'cuda' and _loaded.cuda.startswith(_SKIPPED):
        return f'the library has no kernels for CUDA ({_loaded.cuda})'
    if device_type not in ('cpu', 'cuda', 'meta'):
        return f'the library has no kernels for {device_type} tensors'
    return None


def cuda_state() -> str:
    """What the library in use has for CUDA, or why it has nothing."""
    return _loaded.cuda


def cpu_isa() -> tuple[str, str]:
    """Asks the library in use for the instruction sets of its CPU kernels.

    Returns:
        The one in use, or what is wrong with the choice of ``MMSSM_CPU_ISA``;
        and all that could be used here.

    Raises:
        RuntimeError: If no library is in use.
    """
    if _loaded.path is None:
        raise RuntimeError(f'no library is in use: {_loaded.obstacle}')
    library = ctypes.CDLL(str(_loaded.path))
    answers = []
    for function in (library.mmssm_cpu_isa, library.mmssm_usable_cpu_isas):
        function.restype = ctypes.c_char_p
        answers.append(function().decode())
    return answers[0], answers[1]


def read_stamp(path: Path) -> str | None:
    """Returns the stamp in a library file, without loading it."""
    return _find(_STAMP, path)


def _find(mark: re.Pattern[bytes], path: Path) -> str | None:
    match = mark.search(path.read_bytes())
    return match.group(1).decode() if match else None


def _lacks_cuda(path: Path) -> bool:
    """Whether the file has no kernels for the CUDA that torch is built with."""
    if torch.version.cuda is None:
        return False
    with contextlib.suppress(OSError):
        return (_find(_CUDA_STATE, path) or _SKIPPED).startswith(_SKIPPED)
    return False


def _check(path: Path) -> str | None:
    """Returns why the file must not be loaded, if it must not."""
    if not path.is_file():
        return _NOT_BUILT
    try:
        found = read_stamp(path)
    except OSError as error:
        return f'{path} cannot be read ({error})'
    if found is None:
        return f'{path} is no library of mmssm; {_HOW_TO_BUILD} anew'
    if f'sources={_build.source_hash()}' not in found.split():
        return (
            f'{path} was built from other sources than those installed; '
            f'{_HOW_TO_BUILD} anew'
        )
    return None


def _load(path: Path) -> str | None:
    """Loads the file; returns why not, if it cannot."""
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        return f'{path} cannot be loaded ({error}); {_HOW_TO_BUILD} anew'
    return None
