"""``python -m mmssm.ops``: what is built and used; ``... build``: build it."""

import argparse
import sys
import time

import torch

from . import _backend, _build, _library


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m mmssm.ops',
        description='Says which kernels are built and used, or builds them.',
    )
    parser.add_argument(
        'command',
        nargs='?',
        choices=('info', 'build'),
        default='info',
        help='info: say what is built, for what, and what is used (default). '
        "build: compile the kernels into the user's cache, for this torch.",
    )
    if parser.parse_args(arguments).command == 'build':
        return _run_build()
    print('\n'.join(describe()))
    return 0


def describe() -> list[str]:
    """Returns the report, line by line."""
    used, asked_by = _backend.requested()
    lines = [
        f'torch:     {torch.__version__}',
        f'sources:   {_build.source_hash()}',
        f'requested: {used} (by {asked_by})',
    ]
    for path in _library.candidates():
        state = 'not there'
        if path.is_file():
            state = _library.read_stamp(path) or 'no library of mmssm'
        lines.append(f'library:   {path} ({state})')
    for device in ('cpu', 'cuda'):
        obstacle = _library.obstacle(device)
        served = 'compiled kernels' if obstacle is None else f'reference: {obstacle}'
        lines.append(f'{device + ":":<11}{served}')
    if _library.path() is not None:
        lines.append(f'for cuda:  {_library.cuda_state()}')
        used, usable = _library.cpu_isa()
        hint = f' (of {usable}; {_library.ISA_ENV} forces one)'
        lines.append(f'cpu isa:   {used}{hint if used in usable else ""}')
    if _backend.native_required():
        lines.append(f'{_backend.NATIVE_ENV} is set: the reference is an error')
    return lines


def _run_build() -> int:
    start = time.perf_counter()
    try:
        path = _build.build(_build.cache_folder(torch.__version__))
    except _build.BuildError as error:
        print(f'the kernels are not built: {error}', file=sys.stderr)
        return 1
    seconds = time.perf_counter() - start
    print(f'built {path} ({path.stat().st_size / 1e6:.2f} MB) in {seconds:.0f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
