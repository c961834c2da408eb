"""A C++ compiler for tests that ask whether something is built, not how fast it is."""

from pathlib import Path

from mmssm.ops import _build


def hasty(folder: Path, optimised: str = 'none.cpp') -> Path:
    """Writes a compiler that leaves out optimisation, three quarters of its time.

    Args:
        folder: Where to write it.
        optimised: The one source that is compiled as ever.

    Returns:
        Its path, for ``CXX``.
    """
    compiler = folder / 'hasty-compiler'
    compiler.write_text(
        '#!/bin/sh\n'
        f'case "$*" in *{optimised}*) fast= ;; *) fast=-O0 ;; esac\n'
        f'exec {_build.find_compiler()} "$@" $fast\n'
    )
    compiler.chmod(0o755)
    return compiler
