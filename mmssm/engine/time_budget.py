"""How many iterations a machine manages in a given time."""

import copy
import tempfile
import time

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssm.utils.errors import UserError


class _Stopwatch(Hook):
    """Notes when each training iteration ended."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.ends: list[float] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.ends.append(time.perf_counter())


def iterations_within(
    config: Config, seconds: float, probe: int = 48, warmup: int = 8
) -> int:
    """Measures a few training iterations and says how many fit into a time.

    The model is trained for ``probe`` iterations in a temporary folder, with
    its own data, and thrown away; nothing is validated or saved.

    Args:
        config: A config that trains by iterations.
        seconds: The time to fill.
        probe: Iterations to run.
        warmup: Of these, the first that are not timed.

    Returns:
        The number of iterations, at least 1.

    Raises:
        UserError: The config trains by epochs.
    """
    if config.train_cfg.get('type') != 'IterBasedTrainLoop':
        raise UserError(
            'a number of iterations can only be fitted to a config that trains by '
            "iterations (train_cfg.type='IterBasedTrainLoop'), found "
            f'train_cfg={dict(config.train_cfg)}'
        )
    config = copy.deepcopy(config)
    config.train_cfg.max_iters = probe
    for part in ('cfg', 'dataloader', 'evaluator'):
        config[f'val_{part}'] = config[f'test_{part}'] = None
    config.default_hooks.checkpoint = None
    config.visualizer.vis_backends = None
    stopwatch = _Stopwatch()
    with tempfile.TemporaryDirectory() as work_dir:
        config.work_dir = work_dir
        runner = Runner.from_cfg(config)
        runner.register_hook(stopwatch)
        runner.train()
    timed = stopwatch.ends[warmup - 1 :]
    per_iteration = (timed[-1] - timed[0]) / (len(timed) - 1)
    return max(1, int(seconds / per_iteration))
