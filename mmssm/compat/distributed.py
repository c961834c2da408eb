"""MMEngine's distributed training asks for a GPU, even on a machine without one."""

import functools
from typing import Any

import torch
import torch.distributed
from mmengine.device import get_device
from mmengine.dist import utils as mmengine_dist_utils
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn


def start_process_group_without_gpu() -> None:
    """Starts the processes of ``torchrun`` on a machine without a GPU.

    ``_init_dist_pytorch`` calls ``torch.cuda.set_device`` whatever the
    backend, which raises where there is no GPU. Without an accelerator the
    process group is now started directly, and ``nccl``, MMPose's default,
    which needs GPUs, gives way to ``gloo``.

    Link: https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/dist/utils.py
    Delete when: ``init_dist('pytorch', 'gloo')`` works without a GPU.
    """
    original = mmengine_dist_utils._init_dist_pytorch
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def _init_dist_pytorch(
        backend: str, init_backend: str = 'torch', **kwargs: Any
    ) -> None:
        if get_device() != 'cpu' or init_backend != 'torch':
            original(backend, init_backend=init_backend, **kwargs)
            return
        if backend == 'nccl':
            print_log('There is no GPU here: the processes talk through gloo, not nccl')
            backend = 'gloo'
        torch.distributed.init_process_group(backend=backend, **kwargs)

    mmengine_dist_utils._init_dist_pytorch = _init_dist_pytorch


def wrap_model_without_gpu() -> None:
    """Wraps a model on the CPU for distributed training.

    ``Runner.wrap_model`` names a GPU by ``device_ids``, and PyTorch refuses
    that for a module on the CPU.

    Link: https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/runner/runner.py
    Delete when: ``Runner.wrap_model`` leaves ``device_ids`` out on a CPU.
    """
    original = Runner.wrap_model
    if hasattr(original, '__wrapped__'):
        return

    @functools.wraps(original)
    def wrap_model(
        self: Runner, model_wrapper_cfg: dict | None, model: nn.Module
    ) -> nn.Module:
        if self.distributed and get_device() == 'cpu':
            defaults: dict[str, Any] = {'type': 'MMDistributedDataParallel'}
            if model_wrapper_cfg is None:
                defaults['broadcast_buffers'] = False
                defaults['find_unused_parameters'] = self.cfg.get(
                    'find_unused_parameters', False
                )
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {})}
            model_wrapper_cfg.setdefault('device_ids', None)
        return original(self, model_wrapper_cfg, model)

    Runner.wrap_model = wrap_model
