"""MMPose imports what it does not need: compiled MMCV, MMDetection, torchvision."""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch

_MMPOSE_PARTS = (
    'mmpose.models',
    'mmpose.datasets',
    'mmpose.evaluation',
    'mmpose.engine',
    'mmpose.visualization',
    'mmpose.apis',
)
_torchvision_schemas: torch.library.Library | None = None


def load_torchvision_without_operators() -> None:
    """Lets torchvision be imported where its compiled part cannot be loaded.

    A torchvision built for another PyTorch (the CUDA wheel beside a CPU build
    of PyTorch) cannot load its operators, and then its import fails at the
    registration of fake kernels for ``nms`` and ``qnms``. MMPose needs its image
    transforms, MMEngine its version and its list of models: neither needs an
    operator. With the two schemas defined the import works; calling
    ``torchvision.ops.nms`` still raises.

    Link: https://github.com/pytorch/vision/issues/8746
    Delete when: torchvision imports without its operators.
    """
    global _torchvision_schemas
    if not _is_there('torchvision') or _torchvision_schemas is not None:
        return
    try:
        importlib.import_module('torchvision')
    except RuntimeError as error:
        if 'operator torchvision::nms does not exist' not in str(error):
            raise
        for name in [n for n in sys.modules if n.split('.')[0] == 'torchvision']:
            del sys.modules[name]
        _torchvision_schemas = torch.library.Library('torchvision', 'FRAGMENT')
        for name in ('nms', 'qnms'):
            _torchvision_schemas.define(
                f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
            )
        importlib.import_module('torchvision')


def import_mmpose() -> None:
    """Imports MMPose where compiled MMCV, MMDetection or torchvision is missing.

    ``mmpose.models`` imports two heads that need ``mmcv.ops`` and ``mmdet``
    whether they are used or not, and ``mmpose.visualization`` needs one image
    transform of torchvision. Stand-ins take their place while MMPose is
    imported and then leave ``sys.modules``; none is made for what can be
    imported. What MMPose took from a stand-in raises when it is called
    (compiled operators, ``ToPILImage``) or does the same as the original
    (``reduce_mean``).

    Link: https://github.com/open-mmlab/mmpose/issues/3250
    Delete when: ``import mmpose.models`` works on mmcv-lite and without mmdet.
    """
    stand_ins = [
        *(() if _is_there('mmcv._ext') else [_mmcv_ext()]),
        *(() if _is_there('mmdet') else _mmdet()),
        *(() if _is_there('torchvision') else _torchvision()),
    ]
    if not stand_ins:
        return
    with _present(stand_ins):
        for name in _MMPOSE_PARTS:
            importlib.import_module(name)


def _is_there(name: str) -> bool:
    # Somebody else's stand-in counts too; it may lack the spec that find_spec needs.
    if name in sys.modules:
        return sys.modules[name] is not None
    return find_spec(name) is not None


@contextmanager
def _present(modules: Sequence[ModuleType]) -> Iterator[None]:
    sys.modules.update({module.__name__: module for module in modules})
    try:
        yield
    finally:
        for module in modules:
            del sys.modules[module.__name__]


def _module(name: str, **attributes: Any) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, loader=None)
    module.__path__ = []
    for key, value in attributes.items():
        setattr(module, key, value)
    return module


def _mmcv_ext() -> ModuleType:
    def __getattr__(name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)
        return _missing(
            f'the operator {name} of mmcv.ops',
            'mmcv-lite has no compiled operators: install mmcv==2.1.0 instead',
        )

    return _module('mmcv._ext', __getattr__=__getattr__)


def _mmdet() -> list[ModuleType]:
    from mmengine.config import ConfigDict

    utils = _module('mmdet.utils', ConfigType=ConfigDict | dict, reduce_mean=_mean)
    return [_module('mmdet', utils=utils), utils]


def _torchvision() -> list[ModuleType]:
    to_pil_image = _missing('torchvision.transforms.ToPILImage', 'install torchvision')
    transforms = _module('torchvision.transforms', ToPILImage=to_pil_image)
    return [_module('torchvision', transforms=transforms), transforms]


def _missing(what: str, remedy: str) -> Callable:
    def call(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f'{what} was called, and {remedy}')

    return call


def _mean(tensor: torch.Tensor) -> torch.Tensor:
    """The mean of ``tensor`` over all ranks, as ``mmdet.utils.reduce_mean``."""
    from mmengine.dist import all_reduce

    mean = tensor.clone()
    all_reduce(mean, op='mean')
    return mean
