"""Random scans against the oracle; see helpers/scan_cases.py for what is drawn.

A failing case is run again by its name, for example ``-k 'path and seed17'``. More of
them: ``make fuzz``, or ``MMSSM_FUZZ_CASES`` and ``MMSSM_FUZZ_FIRST``.
"""

import os

import pytest
from helpers import scan_cases

CASES = int(os.environ.get('MMSSM_FUZZ_CASES', 40))
FIRST = int(os.environ.get('MMSSM_FUZZ_FIRST', 0))
seeds = pytest.mark.parametrize(
    'seed', range(FIRST, FIRST + CASES), ids=lambda seed: f'seed{seed}'
)


@seeds
def test_selective_scan(native, seed):
    scan_cases.check(
        *scan_cases.run_selective_scan(*scan_cases.selective_case(seed), seed)
    )


@seeds
def test_path_scan(native, seed):
    scan_cases.check(*scan_cases.run_path_scan(*scan_cases.path_case(seed), seed))


@seeds
def test_deform_scan(native, seed):
    scan_cases.check(*scan_cases.run_deform_scan(*scan_cases.deform_case(seed), seed))
