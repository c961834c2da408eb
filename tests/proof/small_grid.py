"""Runs every kernel once on small sizes, for compute-sanitizer to watch.

    compute-sanitizer --tool memcheck python tests/proof/small_grid.py

All ops, forward and backward, in every layout of the kernels, with rows that leave
threads idle and lengths that are split; what comes out is compared with the reference,
which runs on the CPU.
"""

import argparse
import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers import devices, scan_cases
from helpers.op_cases import along_paths, deformed, sampled, selective
from helpers.scan_arguments import ONE

from mmssm.ops import backend

SINGLE, DOUBLE, HALF = torch.float32, torch.float64, torch.bfloat16
TOLERANCES = {SINGLE: 1e-4, DOUBLE: 1e-11, HALF: 2e-2, torch.float16: 2e-3}
GRID = (
    (selective, dict(E=6, groups=2, d_state=16, L=37, dtype=DOUBLE)),
    (along_paths, dict(E=5, L=40, R=3, d_state=4)),
    (sampled, dict(E=40, G=2, M=2, H=3, W=3)),
    (deformed, dict(E=6, G=3, M=1, H=3, W=4, d_state=16)),
    # Fewer were enough to try the program.
    (selective, dict(E=2, groups=2, d_state=1, L=37, dtype=DOUBLE)),
    (selective, dict(E=65, groups=1, d_state=1, L=20)),
    (selective, dict(E=33, groups=1, d_state=8, L=17)),
    (selective, dict(E=65, groups=1, d_state=16, L=17)),
    (selective, dict(E=3, groups=1, d_state=16, L=19, dtype=HALF)),
    (selective, dict(E=3, groups=1, d_state=17, L=19, dtype=torch.float16)),
    # Split over the length, segments too.
    (selective, dict(N=2, E=2, groups=1, d_state=1, L=600)),
    (selective, dict(N=1, E=1, groups=1, d_state=16, L=400)),
    (along_paths, dict(N=1, E=5, L=400, R=2, d_state=1)),
    (along_paths, dict(E=5, L=40, R=0, d_state=2, segment=17, dtype=DOUBLE)),
    (along_paths, dict(N=1, E=3, L=70, R=2, d_state=17, segment=65)),
    (along_paths, dict(E=3, L=33, R=2, d_state=2, dtype=HALF)),
    (sampled, dict(E=5, M=4, H=4, W=4, dtype=DOUBLE)),
    (sampled, dict(E=33, M=9, H=5, W=3, by='channel', dtype=HALF)),
    (deformed, dict(E=40, G=2, M=2, H=3, W=3, d_state=1, by='channel')),
    (deformed, dict(E=5, M=4, H=4, W=5, d_state=4, dtype=DOUBLE)),
    (deformed, dict(E=33, M=2, H=9, W=8, d_state=8, steps=ONE, dtype=HALF)),
)
FEW = 4


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--few', action='store_true', help='the first cases alone')
    args = parser.parse_args(argv)
    warnings.simplefilter('error')
    wrong = 0
    for make, sizes in GRID[:FEW] if args.few else GRID:
        torch.set_default_device('cpu')
        with backend('reference'):
            expected = make(**sizes).run()
        torch.set_default_device(args.device)
        with backend('native'):
            got = make(**sizes).run()
        for name, tensor in expected.items():
            error = scan_cases.error(got[name], devices.exact(tensor))
            if not error < TOLERANCES[tensor.dtype]:
                wrong += 1
                print(f'WRONG {make.__name__} {sizes}: {name} is off by {error:.2g}')
    print(f'{wrong} results are wrong' if wrong else 'all results are right')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
