"""Looks for races in the kernels for CUDA, where there is no GPU.

    python tests/proof/races.py

The emulator of `csrc/cuda/emulator.h`, built with ThreadSanitizer, runs every kernel on
the sizes of `small_grid.py`. What two threads of a block access and one of them writes
without a barrier in between is reported, whatever comes out of it. Needs GCC and its
libtsan.
"""

import shutil
import sys

from sanitize import COMPILER, find_runtime
from scratch_package import ROOT, scratch_package

FLAGS = '-g1 -fno-omit-frame-pointer -fsanitize=thread'
GRID = ROOT / 'tests' / 'proof' / 'small_grid.py'
# Of multiprocessors: with many, few rows are split; with one, paths are added up.
SIZES = '132', '1'


def main() -> int:
    """Command line; returns the exit status."""
    # It needs memory where it expects it, not at random places.
    fixed = [setarch, '-R'] if (setarch := shutil.which('setarch')) else []
    with scratch_package() as package:
        library = package.build(emulated=True, CXX=f'{COMPILER} {FLAGS}')
        if b'__tsan_init' not in library.read_bytes():
            sys.exit(f'error: {COMPILER} built {library.name} without ThreadSanitizer')
        statuses = [
            package.run(
                [*fixed, sys.executable, str(GRID), '--device', 'cpu'],
                LD_PRELOAD=find_runtime('libtsan.so'),
                TSAN_OPTIONS='exitcode=66:history_size=4',
                OMP_NUM_THREADS='1',
                MMSSM_EMULATOR_SIZE=size,
            ).returncode
            for size in SIZES
        ]
    print('races, or wrong results' if any(statuses) else 'no races')
    return int(any(statuses))


if __name__ == '__main__':
    sys.exit(main())
