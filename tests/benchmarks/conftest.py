"""Lets the tests import ``benchmarks``, which no distribution carries."""

import sys

from helpers.modules import ROOT

# Last, so that it decides about nothing else.
sys.path.append(str(ROOT))
