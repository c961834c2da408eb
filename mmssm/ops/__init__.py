"""State-space scans for PyTorch.

These ops need torch and nothing else. `selective_scan` is Mamba's scan over a
sequence, `path_scan` the scan over a set of tokens along several `ScanPaths`,
`deform_sample` reads a map at predicted places, and `deform_scan` scans what it
reads.
Compiled kernels serve them where they are built; ``python -m mmssm.ops`` says
what is built and used.
"""

from . import _library
from ._backend import backend
from .deform_sample import deform_sample, register_deform_sample
from .deform_scan import deform_scan
from .path_scan import path_scan, register_path_scan
from .scan_paths import ScanPaths
from .selective_scan import register_selective_scan, selective_scan

__all__ = [
    'ScanPaths',
    'backend',
    'deform_sample',
    'deform_scan',
    'path_scan',
    'selective_scan',
]

if _library.load():
    register_selective_scan()
    register_path_scan()
    register_deform_sample()
