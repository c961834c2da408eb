"""Which implementation serves a call."""

import contextlib
import os
import warnings
from collections.abc import Iterator

import torch

from . import _library

BACKENDS = ('auto', 'native', 'mamba_ssm', 'reference', 'decomposed')
NATIVE_ENV = 'MMSSM_REQUIRE_NATIVE'
BACKEND_ENV = 'MMSSM_BACKEND'

# Plain module variables, because torch.compile can read and guard them.
_requested = os.environ.get(BACKEND_ENV) or 'auto'
_requested_by = f'the environment variable {BACKEND_ENV}'
_native_required = os.environ.get(NATIVE_ENV, '0') not in ('', '0')
_has_warned = False


@contextlib.contextmanager
def backend(name: str) -> Iterator[None]:
    """Chooses the implementation of all ops inside a ``with`` block.

    The choice holds for the whole process, not for one thread; a backward pass
    uses what its forward used. Outside of any block the environment variable
    ``MMSSM_BACKEND`` chooses (default ``auto``).

    Args:
        name: ``'auto'``: the compiled kernels, or the reference with one warning
            per process where they are missing. ``'native'``: the compiled
            kernels or an error. ``'mamba_ssm'``: the package of that name, for
            `selective_scan` only. ``'reference'``: plain PyTorch.
            ``'decomposed'``: for exporters, in terms that they know; without
            gradient.

    Raises:
        ValueError: If there is no such backend.

    Example:
        >>> with mmssm.ops.backend('reference'):
        ...     y = mmssm.ops.selective_scan(u, delta, A, B, C)
    """
    global _requested, _requested_by
    _check_name(name, 'mmssm.ops.backend')
    before = _requested, _requested_by
    _requested, _requested_by = name, 'mmssm.ops.backend'
    try:
        yield
    finally:
        _requested, _requested_by = before


def requested() -> tuple[str, str]:
    """Returns the requested backend and who asked for it."""
    return _requested, _requested_by


def native_required() -> bool:
    """Whether ``MMSSM_REQUIRE_NATIVE`` makes a fallback an error."""
    return _native_required


def choose(op: str, device: torch.device, obstacle: str | None = None) -> str:
    """Returns the backend that serves one call.

    Args:
        op: Name of the op.
        device: Where its tensors are.
        obstacle: Why the compiled kernels cannot serve this call, if the call
            itself is the reason.

    Returns:
        ``'native'``, ``'mamba_ssm'``, ``'reference'`` or ``'decomposed'``.

    Raises:
        ValueError: If the requested backend does not exist or has no such op.
        RuntimeError: If the kernels are required and cannot serve the call.
    """
    name = _requested
    _check_name(name, _requested_by)
    if name in ('reference', 'decomposed'):
        return name
    if name == 'mamba_ssm':
        if op != 'selective_scan':
            raise ValueError(
                f"{_requested_by} asks for the backend 'mamba_ssm', which has "
                f"selective_scan only, not {op}; use 'auto', 'native' or "
                "'reference'"
            )
        return name
    obstacle = obstacle or _library.obstacle(device.type)
    if obstacle is None:
        return 'native'
    if name == 'native' or _native_required:
        cause = (
            f"{_requested_by} asks for the backend 'native'"
            if name == 'native'
            else f'{NATIVE_ENV} is set'
        )
        raise RuntimeError(
            f'{op} has no compiled kernel to run on, and {cause}: {obstacle}'
        )
    _warn_once(op, obstacle)
    return 'reference'


def _check_name(name: str, asked_by: str) -> None:
    if name not in BACKENDS:
        raise ValueError(
            f'{asked_by} asks for the backend {name!r}, expected one of '
            f'{", ".join(BACKENDS)}'
        )


def _warn_once(op: str, obstacle: str) -> None:
    global _has_warned
    if _has_warned or torch.compiler.is_compiling():
        return
    _has_warned = True
    warnings.warn(
        f'mmssm.ops.{op} runs in plain PyTorch, which is many times slower than '
        f'the compiled kernels: {obstacle}',
        RuntimeWarning,
        stacklevel=4,
    )
