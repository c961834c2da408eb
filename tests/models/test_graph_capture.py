"""A forward pass takes nothing from the CPU and reads nothing back.

Only then can a CUDA graph capture it. The device ``meta`` stands in for a GPU: it has
no values to read back, and what is on the CPU beside it shows. What the first call
makes, the paths of a size, stays.
"""

import pytest
import torch
from helpers.modules import ROOT
from mmengine.config import Config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmssm.registry import MODELS

FOLDER = ROOT / 'configs/body_3d_keypoint'
LIFTERS = {
    'PoseMamba': 'posemamba/mocap/posemamba_xs-27frm_1xb4_mocap-fold0.py',
    'SasMamba': 'sasmamba/mocap/sasmamba_xs-27frm_1xb4_mocap-fold0.py',
}
BACKBONES = {
    'DF-Mamba': dict(type='mmssm.DFMamba', arch='a'),
    'VMamba': dict(type='mmssm.VMamba', arch='tiny'),
}


class OnTheCPU(TorchDispatchMode):
    """Collects operators that read or make tensors on the CPU."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, out)):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == 'cpu':
                self.found.add(str(func))
        return out


def check(network, *shape):
    inputs = torch.empty(shape, device='meta')
    with torch.no_grad():
        network(inputs)
        with OnTheCPU() as mode:
            network(inputs)
    assert not mode.found


@pytest.mark.parametrize('name', LIFTERS)
def test_lifters(name):
    model = MODELS.build(Config.fromfile(FOLDER / LIFTERS[name]).model).to('meta')
    model.eval()
    check(lambda clip: model.head(model.backbone(clip)), 1, 27, 17, 3)


@pytest.mark.parametrize('name', BACKBONES)
def test_backbones(name):
    network = MODELS.build(BACKBONES[name]).to('meta')
    network.eval()
    check(network, 1, 3, 128, 128)


def test_hamba():
    head = MODELS.build(dict(type='mmssm.HambaHead', in_channels=1280, arch='small'))
    head.eval().to('meta')
    check(lambda features: head((features,)), 1, 1280, 16, 12)


def test_what_is_on_the_cpu_is_found():
    with pytest.raises(AssertionError, match='_to_copy'):
        check(lambda x: x + torch.ones(3).to(x.device), 3)
