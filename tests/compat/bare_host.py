"""Probes the host without mmssm; prints what each probe raised as JSON.

A probe that raises nothing has found its defect mended upstream: then the cure
of the same name can go.
"""

import json
import os
import pickle
import sys


def load_torchvision_without_operators():
    import torchvision  # noqa: F401


def import_mmpose():
    import mmpose.models  # noqa: F401


def pickle_history_without_functions():
    from mmengine.logging import HistoryBuffer

    if b'getattr' in pickle.dumps(HistoryBuffer([1.0], [1]), protocol=2):
        raise TypeError('the pickle asks for getattr')


def load_old_checkpoints_safely():
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner.checkpoint import _load_checkpoint

    torch.save({'log': HistoryBuffer([1.0], [1])}, 'checkpoint.pth')
    _load_checkpoint('checkpoint.pth')


def load_urls_safely():
    import torch
    from mmengine.runner.checkpoint import _load_checkpoint

    # The file is in the cache already, so that nothing is downloaded.
    os.environ['TORCH_HOME'] = os.getcwd()
    os.makedirs('hub/checkpoints')
    torch.save({'call': print}, 'hub/checkpoints/hostile.pth')
    if _load_checkpoint('https://example.org/hostile.pth')['call'] is print:
        raise TypeError('a function came out of the file')


def know_our_package():
    from mmengine.config import Config

    Config._get_cfg_path('mmssm::_base_/default_runtime.py', __file__)


def do_without_pkg_resources():
    from mmengine.utils import is_installed

    sys.modules['pkg_resources'] = None
    is_installed('mmpose')


def start_process_group_without_gpu():
    from mmengine.dist import init_dist

    init_dist('pytorch', backend='gloo')


def wrap_model_without_gpu():
    import torch
    from mmengine.runner import Runner

    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    runner = Runner.__new__(Runner)
    runner._launcher, runner._distributed, runner.cfg = 'pytorch', True, {}
    runner.wrap_model(None, torch.nn.Linear(2, 2))


def give_canvas_tostring_rgb():
    import importlib.util
    from pathlib import Path

    folder = importlib.util.find_spec('mmpose').submodule_search_locations[0]
    path = Path(folder, 'visualization', 'local_visualizer_3d.py')
    if 'tostring_rgb()' in path.read_text():
        raise AttributeError('the visualizer calls tostring_rgb')


PROBES = (
    load_torchvision_without_operators,
    import_mmpose,
    pickle_history_without_functions,
    load_old_checkpoints_safely,
    load_urls_safely,
    know_our_package,
    do_without_pkg_resources,
    start_process_group_without_gpu,
    wrap_model_without_gpu,
    give_canvas_tostring_rgb,
)


def main():
    os.environ.update(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1')
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT='0')
    raised = {}
    for probe in PROBES:
        try:
            probe()
            raised[probe.__name__] = None
        except Exception as error:
            raised[probe.__name__] = f'{type(error).__name__}: {error}'
    print(json.dumps(raised))


if __name__ == '__main__':
    main()
