"""The defects are still there without us, and the cures leave the rest alone."""

import sys
from importlib.util import find_spec

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader

import mmssm.registry  # noqa: F401
from mmssm import compat

FULL_STACK = bool(find_spec('mmcv._ext') and find_spec('mmdet'))
WITHOUT_GPU = not torch.cuda.is_available()
MET_WHERE = {
    'load_torchvision_without_operators': bool(
        find_spec('torchvision') and '+cpu' in torch.__version__
    ),
    'import_mmpose': not FULL_STACK,
    'pickle_history_without_functions': True,
    'load_old_checkpoints_safely': True,
    'load_urls_safely': True,
    'know_our_package': True,
    'do_without_pkg_resources': True,
    'start_process_group_without_gpu': WITHOUT_GPU,
    'wrap_model_without_gpu': WITHOUT_GPU,
    'give_canvas_tostring_rgb': True,
}


@pytest.mark.parametrize('probe', MET_WHERE)
def test_the_bare_host_still_has_the_defect(bare_host, probe):
    if not MET_WHERE[probe]:
        pytest.skip('this environment does not meet the defect')
    assert bare_host[probe] is not None, f'{probe}: mended upstream, delete the cure'


def test_every_probe_is_expected_somewhere(bare_host):
    assert bare_host.keys() == MET_WHERE.keys()


def patched():
    return (
        CheckpointLoader._schemes[''],
        HistoryBuffer.__getstate__,
        Config.__dict__['_get_cfg_path'].__func__,
        Runner.wrap_model,
        getattr(FigureCanvasAgg, 'tostring_rgb', None),
        torch.load,
    )


def test_installing_again_changes_nothing():
    before, modules = patched(), set(sys.modules)
    compat.install()
    after = patched()
    assert set(sys.modules) == modules
    unchanged = [a is b for a, b in zip(before, after, strict=True)]
    assert unchanged[:1] + unchanged[2:] == [True] * 5
    assert before[1].__qualname__ == after[1].__qualname__


def test_torch_itself_is_not_patched():
    assert torch.load.__module__ == 'torch.serialization'
    assert torch.cuda.set_device.__module__ == 'torch.cuda'


@pytest.mark.parametrize('name', ['mmengine', 'mmcv', 'mmpose'])
def test_a_missing_host_is_named_with_the_command_that_helps(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf'(?s)\b{name} is not installed.*pip'):
        compat.install()
