"""Registries of scope ``mmssm``.

Each is a child of the MMEngine root of the same name (codecs: of MMPose's
registry), so a config that keeps ``default_scope = 'mmpose'`` reaches our
classes as ``type='mmssm.Name'``. MMEngine imports this module by itself when
it meets such a type; the import puts the host's cures in place first.
"""

from mmssm import compat

compat.install()

from mmengine.registry import DATASETS as MMENGINE_DATASETS  # noqa: E402
from mmengine.registry import HOOKS as MMENGINE_HOOKS  # noqa: E402
from mmengine.registry import METRICS as MMENGINE_METRICS  # noqa: E402
from mmengine.registry import MODELS as MMENGINE_MODELS  # noqa: E402
from mmengine.registry import (  # noqa: E402
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS  # noqa: E402
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS  # noqa: E402
from mmengine.registry import Registry  # noqa: E402
from mmpose.registry import (  # noqa: E402
    KEYPOINT_CODECS as MMPOSE_KEYPOINT_CODECS,
)


def _child(name: str, parent: Registry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope='mmssm', locations=list(locations))


MODELS = _child('model', MMENGINE_MODELS, 'mmssm.models')
DATASETS = _child('dataset', MMENGINE_DATASETS, 'mmssm.datasets')
TRANSFORMS = _child('transform', MMENGINE_TRANSFORMS, 'mmssm.datasets.transforms')
METRICS = _child('metric', MMENGINE_METRICS, 'mmssm.evaluation')
HOOKS = _child('hook', MMENGINE_HOOKS, 'mmssm.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor',
    MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    'mmssm.engine',
)
VISUALIZERS = _child('visualizer', MMENGINE_VISUALIZERS, 'mmssm.visualization')
KEYPOINT_CODECS = _child('codec', MMPOSE_KEYPOINT_CODECS, 'mmssm.codecs')
