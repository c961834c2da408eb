"""``mmssm::`` bases, and package look-ups without ``pkg_resources``."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.config import config as mmengine_config
from mmengine.utils import package_utils
from mmengine.visualization import Visualizer

import mmssm.registry  # noqa: F401
from mmssm.compat import configs


def test_our_configs_are_bases(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = ['mmssm::_base_/default_runtime.py']\nlog_level = 'X'\n")
    config = Config.fromfile(path)
    assert config.default_scope == 'mmpose'
    assert config.log_level == 'X'
    from mmengine.registry import HOOKS

    Visualizer.get_instance('for the hook that draws')
    for hook in config.default_hooks.values():
        assert HOOKS.build(hook) is not None


def test_mmposes_configs_are_bases_as_before(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmpose::_base_/default_runtime.py'\n")
    assert Config.fromfile(path).default_scope == 'mmpose'


def test_a_base_that_does_not_exist_is_named(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmssm::no/such.py'\n")
    with pytest.raises(FileNotFoundError, match='mmssm::no/such'):
        Config.fromfile(path)


def test_the_configs_are_those_of_the_wheel_where_it_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(configs, '_PACKAGE', tmp_path / 'mmssm')
    with pytest.raises(FileNotFoundError, match='reinstall'):
        configs.config_root()
    (tmp_path / 'configs').mkdir()
    assert configs.config_root() == tmp_path / 'configs'
    (tmp_path / 'mmssm' / '.mim' / 'configs').mkdir(parents=True)
    assert configs.config_root() == tmp_path / 'mmssm' / '.mim' / 'configs'


def test_packages_are_found_without_pkg_resources(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    for module in (package_utils, mmengine_config):
        for name in ('is_installed', 'get_installed_path'):
            monkeypatch.setattr(module, name, getattr(module, name))
    configs.do_without_pkg_resources()
    assert mmengine_config.is_installed('mmpose')
    assert not mmengine_config.is_installed('no-such-package')
    folder = Path(find_spec('mmpose').submodule_search_locations[0])
    assert Path(mmengine_config.get_installed_path('mmpose')) == folder
    with pytest.raises(ModuleNotFoundError, match='no-such-package'):
        mmengine_config.get_installed_path('no-such-package')


def test_a_distribution_is_mapped_to_its_module():
    assert Path(configs.get_installed_path('Pillow')).name == 'PIL'
