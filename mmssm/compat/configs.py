"""Finding the config files of installed packages."""

import functools
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.utils import package_utils

_PACKAGE = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """The folder of our configs: the wheel's copy, else that of the checkout.

    Raises:
        FileNotFoundError: This installation has neither.
    """
    places = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f'the configs of mmssm are in neither {places[0]} nor {places[1]}: '
        'reinstall mmssm'
    )


def know_our_package() -> None:
    """Makes ``mmssm::...`` work as a base config.

    MMEngine resolves such names for a fixed list of packages only, and answers
    with a folder that does not exist for an editable installation.

    Link: https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/config/utils.py
    Delete when: MMEngine finds the configs of any installed package, editable
    ones included.
    """
    config_utils.MODULE2PACKAGE.setdefault('mmssm', 'mmssm')
    original = Config._get_cfg_path
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def _get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        scope, separator, name = cfg_path.partition('::')
        if separator and scope == 'mmssm':
            path = config_root() / name
            if not path.is_file():
                raise FileNotFoundError(f'{cfg_path}: there is no file {path}')
            # The scope in which our configs are written: they say `mmssm.X`.
            return str(path), 'mmpose'
        return original(cfg_path, filename)

    Config._get_cfg_path = staticmethod(_get_cfg_path)


def do_without_pkg_resources() -> None:
    """Lets MMEngine find packages without ``pkg_resources``.

    ``mmpose::...`` bases and the inferencers' default models look packages up
    with ``pkg_resources``, which setuptools 82 removed and which a virtual
    environment of Python 3.12 does not have at all; where it is there, importing
    it takes a second and ends in a warning.

    Link: https://github.com/open-mmlab/mmcv/issues/3325
    Delete when: ``mmengine.utils.package_utils`` uses ``importlib.metadata``.
    """
    for name, replacement in (
        ('is_installed', is_installed),
        ('get_installed_path', get_installed_path),
    ):
        original = getattr(package_utils, name)
        for module in list(sys.modules.values()):
            if getattr(module, name, None) is original:
                setattr(module, name, replacement)


def is_installed(package: str) -> bool:
    """Whether a package is installed; replaces the function of the same name."""
    return find_spec(_module_name(package)) is not None


def get_installed_path(package: str) -> str:
    """The folder of a package; replaces the function of the same name.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    spec = find_spec(_module_name(package))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed')
    return str(Path(spec.origin).parent)


def _module_name(package: str) -> str:
    """The module of a distribution: ``mmseg`` for ``mmsegmentation``."""
    try:
        names = (distribution(package).read_text('top_level.txt') or '').split()
    except PackageNotFoundError:
        names = []
    return names[0] if names else package
