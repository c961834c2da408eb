"""``python -m mmssm.utils.collect_env``: what is installed, and what is in use."""

import importlib
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

import mmssm
from mmssm.ops.__main__ import describe

_PACKAGES = (
    'mmpose',
    'mmengine',
    'mmcv',
    'mmcv-lite',
    'mmdet',
    'mmpretrain',
    'torchvision',
    'numpy',
    'xtcocotools',
    'opencv-python-headless',
    'opencv-python',
    'matplotlib',
    'safetensors',
    'ai-edge-litert',
    'onnx',
    'onnxscript',
    'onnxruntime',
    'setuptools',
)


def collect_env() -> dict[str, str]:
    """Collects versions, the stack and the state of the native operators.

    It works with torch alone. Where MMPose can be imported, MMEngine's own
    report (machine, GPUs, compilers, how PyTorch was built) is part of it;
    ours tells besides which stack this is, why MMPose cannot be imported if it
    cannot, and whether the native operators are used.

    Returns:
        Names and values, in the order in which they are printed.
    """
    info = {'mmssm': mmssm.__version__, 'stack': find_stack()}
    host, obstacle = import_host()
    info['MMPose'] = obstacle or 'can be imported'
    info |= {name: found for name in _PACKAGES if (found := find_version(name))}
    info |= host or {
        'Python': platform.python_version(),
        'platform': platform.platform(),
        'PyTorch': torch.__version__,
    }
    info['native operators'] = '\n'.join(['', *describe()])
    return info


def find_version(package: str) -> str | None:
    """Returns the version of an installed distribution, None if there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def find_stack() -> str:
    """Names the stack by what is installed, without importing it."""
    missing = [name for name in ('mmpose', 'mmengine', 'mmcv') if not find_spec(name)]
    if missing:
        return f'none: without {", ".join(missing)}, only mmssm.ops works'
    compiled, detector = find_spec('mmcv._ext'), find_spec('mmdet')
    if compiled and detector:
        return 'full: mmcv with its operators, mmdet'
    lacking = [
        *(() if compiled else ["mmcv's operators"]),
        *(() if detector else ['mmdet']),
    ]
    return f'light: without {" and ".join(lacking)}'


def import_host() -> tuple[dict[str, str], str | None]:
    """Imports MMPose and asks MMEngine for its report.

    Returns:
        MMEngine's report and None, or an empty one and why MMPose cannot be
        imported.
    """
    try:
        # By name, as this is a question and not a dependency. The registry puts
        # the host's cures in place: a bare import fails on a light stack.
        importlib.import_module('mmssm.registry')
        importlib.import_module('mmpose.models')
        dl_utils = importlib.import_module('mmengine.utils.dl_utils')
        return {
            name: str(value) for name, value in dl_utils.collect_env().items()
        }, None
    except Exception as error:  # whatever it is, it is what the reader asks about
        return {}, f'cannot be imported: {type(error).__name__}: {error}'


def main() -> None:
    for name, value in collect_env().items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    main()
