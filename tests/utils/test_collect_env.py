"""The environment report; without the host it is tested with the wheel."""

import importlib
from importlib.machinery import ModuleSpec
from importlib.metadata import version

import pytest
import torch

import mmssm
from mmssm.utils import collect_env


def pretend_installed(
    monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...]
) -> None:
    monkeypatch.setattr(
        collect_env,
        'find_spec',
        lambda name: ModuleSpec(name, None) if name in present else None,
    )


class TestStack:
    host = ('mmpose', 'mmengine', 'mmcv')

    @pytest.mark.parametrize(
        ('beside', 'stack'),
        [
            (('mmcv._ext', 'mmdet'), 'full: mmcv with its operators, mmdet'),
            ((), "light: without mmcv's operators and mmdet"),
            (('mmcv._ext',), 'light: without mmdet'),
            (('mmdet',), "light: without mmcv's operators"),
        ],
    )
    def test_is_named_by_what_is_there(
        self, monkeypatch: pytest.MonkeyPatch, beside: tuple[str, ...], stack: str
    ) -> None:
        pretend_installed(monkeypatch, self.host + beside)
        assert collect_env.find_stack() == stack

    def test_names_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pretend_installed(monkeypatch, ('mmengine',))
        assert 'without mmpose, mmcv' in collect_env.find_stack()


def test_report_holds_versions_stack_and_operators(
    capsys: pytest.CaptureFixture[str],
) -> None:
    collect_env.main()
    said = capsys.readouterr().out
    assert f'mmssm: {mmssm.__version__}\n' in said
    assert 'MMPose: can be imported\n' in said
    assert f'mmpose: {version("mmpose")}\n' in said
    assert f'PyTorch: {torch.__version__}\n' in said
    assert 'GCC: ' in said
    assert 'cpu:' in said.split('native operators:')[1]


def test_a_broken_host_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def broken(name: str) -> object:
        if name == 'mmpose.models':
            raise RuntimeError('operator does not exist')
        return real(name)

    monkeypatch.setattr(collect_env.importlib, 'import_module', broken)
    info = collect_env.collect_env()
    assert info['MMPose'] == (
        'cannot be imported: RuntimeError: operator does not exist'
    )
    assert info['PyTorch'] == torch.__version__
