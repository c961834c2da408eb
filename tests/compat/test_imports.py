"""MMPose is imported whole, and no stand-in is left behind."""

import sys
from importlib.util import find_spec

import pytest
import torch
from helpers import fresh
from helpers.modules import ROOT
from mmengine.config import Config
from mmengine.registry import DefaultScope

import mmssm.registry  # noqa: F401

MMPOSE = find_spec('mmpose').submodule_search_locations[0]
STAND_INS = ('mmcv._ext', 'mmdet', 'mmdet.utils')


@pytest.mark.parametrize('name', STAND_INS)
def test_a_module_that_is_not_installed_is_not_found_afterwards(name):
    if name in sys.modules:
        assert sys.modules[name].__spec__.loader is not None
    else:
        parent = name.split('.')[0]
        assert find_spec(parent) is None or find_spec(name) is None


@pytest.mark.parametrize(
    'config',
    [
        'body_2d_keypoint/rtmo/coco/rtmo-s_8xb32-600e_coco-640x640.py',
        'body_2d_keypoint/dekr/coco/dekr_hrnet-w32_8xb10-140e_coco-512x512.py',
    ],
)
def test_models_that_import_missing_packages_build(config):
    from mmpose.registry import MODELS

    model = Config.fromfile(f'{MMPOSE}/.mim/configs/{config}').model
    with DefaultScope.overwrite_default_scope('mmpose'), torch.device('meta'):
        model.backbone.pop('init_cfg', None)
        assert MODELS.build(model).backbone is not None


@pytest.mark.skipif(find_spec('mmcv._ext') is not None, reason='mmcv is compiled')
def test_a_missing_operator_says_so_when_it_is_called():
    from mmcv.ops import nms

    with pytest.raises(NotImplementedError, match=r'nms.*mmcv==2\.1\.0'):
        nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


@pytest.mark.skipif(find_spec('mmdet') is not None, reason='mmdet is installed')
def test_the_mean_over_ranks_leaves_its_input_alone():
    from mmpose.models.heads.hybrid_heads.rtmo_head import reduce_mean

    tensor = torch.tensor([2.0, 4.0])
    mean = reduce_mean(tensor)
    torch.testing.assert_close(mean, tensor)
    assert mean.data_ptr() != tensor.data_ptr()


def test_mmpose_is_imported_where_torchvision_is_missing():
    snippet = """
import sys
from importlib.util import find_spec
sys.modules['torchvision'] = None
import mmssm.registry
assert 'torchvision' not in sys.modules and 'torchvision.transforms' not in sys.modules
from mmpose.apis import inference_topdown
from mmpose.visualization.simcc_vis import ToPILImage
try:
    ToPILImage()
except NotImplementedError as error:
    print(error)
"""
    result = fresh.run(snippet, path=[ROOT])
    assert result.returncode == 0, result.stderr
    assert 'install torchvision' in result.stdout


def test_stand_ins_of_others_are_kept():
    program = """
import sys, types
import torch
def stand_in(name, **attributes):
    sys.modules[name] = module = types.ModuleType(name)
    vars(module).update(attributes)
    return module
def operator(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return print
ext = stand_in('mmcv._ext', __getattr__=operator)
det = stand_in('mmdet', __path__=[])
stand_in('mmdet.utils', ConfigType=dict, reduce_mean=print)
import mmssm.registry
import mmpose.models
assert sys.modules['mmcv._ext'] is ext and sys.modules['mmdet'] is det
"""
    done = fresh.run(program, path=[ROOT])
    assert done.returncode == 0, done.stderr
