"""Runs the proof of the ops on kernels built with ASan and UBSan.

    python tests/proof/sanitize.py [--cases 200]

A read or write outside of a tensor or of the scratch memory, a misaligned vector, an
overflow of a signed integer: each ends the run. Needs GCC and its libasan.
"""

import argparse
import os
import subprocess
import sys

from scratch_package import scratch_package

COMPILER = os.environ.get('CXX', 'g++')
FLAGS = (
    '-g1 -fno-omit-frame-pointer -fsanitize=address,undefined '
    # vptr needs run-time type information that libtorch does not export.
    '-fno-sanitize=vptr -fno-sanitize-recover=undefined'
)
RUNTIMES = ('libasan.so', 'libubsan.so', 'libstdc++.so')
TESTS = (
    'tests/ops/test_fuzz.py',
    'tests/ops/test_selective_scan.py',
    'tests/ops/test_path_scan.py',
    'tests/ops/test_deform_sample.py',
    'tests/ops/test_deform_scan.py',
    'tests/ops/test_precision.py',
    'tests/ops/test_determinism.py',
)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--cases', type=int, default=200, help='fuzzed, of each scan')
    args = parser.parse_args()
    with scratch_package() as package:
        library = package.build(CXX=f'{COMPILER} {FLAGS}')
        if b'__asan_report' not in library.read_bytes():
            sys.exit(f'error: {COMPILER} built {library.name} without ASan')
        print('built with ASan and UBSan', flush=True)
        done = package.test(
            *TESTS,
            '-s',  # what a sanitizer says must not die with the process
            '-W',
            'ignore',
            LD_PRELOAD=' '.join(map(find_runtime, RUNTIMES)),
            # Python and PyTorch keep what they allocate once. What nobody has
            # written yet is NaN, so that no result may depend on it.
            ASAN_OPTIONS='detect_leaks=0:malloc_fill_byte=255:'
            'max_malloc_fill_size=1000000000',
            UBSAN_OPTIONS='print_stacktrace=1',
            MMSSM_FUZZ_CASES=str(args.cases),
        )
    if done.returncode == 0:
        print('no findings')
    return done.returncode


def find_runtime(name: str) -> str:
    """Returns the path of one of the compiler's libraries."""
    done = subprocess.run(
        [*COMPILER.split(), f'-print-file-name={name}'],
        capture_output=True,
        text=True,
        check=True,
    )
    path = done.stdout.strip()
    if not os.path.isabs(path):
        sys.exit(f'error: {COMPILER} has no {name}; install GCC with its sanitizers')
    return path


if __name__ == '__main__':
    sys.exit(main())
