"""What do the kernels bring to a whole PoseMamba-S, for one clip of 243 frames?

The same model with the same weights, once as it is and once with its scans replaced
by the lean loop of ``peers.py``. Memory is what a forward adds to the resident memory
of a fresh process at its peak.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from benchmarks._measure import (
    MEMORY_ENVIRONMENT,
    REPOSITORY,
    Row,
    interleave,
    peak_memory,
    run,
)
from benchmarks.ops.peers import CopiedPaths, lean_loop
from mmssm.models.layers import s6
from mmssm.registry import MODELS

CONFIG = (
    'configs/body_3d_keypoint/posemamba/h36m/'
    'posemamba_s-243frm_1xb4-120e_h36m-original.py'
)
FRAMES, JOINTS = 243, 17
VARIANTS = {
    'ours': s6.path_scan,
    'lean loop': CopiedPaths(lean_loop, FRAMES, JOINTS),
}


def measure(seconds: float) -> list[Row]:
    """Measures time and memory of one forward."""
    model = build()
    times = interleave({name: call(name, model) for name in VARIANTS}, 2 * seconds)
    sizes = {name: _memory(name) / 1e6 for name in VARIANTS}
    case = 'PoseMamba-S, 243 frames'
    return [
        Row(
            case,
            'lean loop / ours',
            times['lean loop'] / times['ours'],
            8,
            details={name: 1e3 * time for name, time in times.items()},
        ),
        Row(case, 'time', times['ours'], 0.7, at_least=False, unit=' s'),
        Row(
            case,
            'memory, ours / lean loop',
            sizes['ours'] / sizes['lean loop'],
            0.4,
            at_least=False,
            details={f'{name} MB': size for name, size in sizes.items()},
        ),
    ]


def build() -> nn.Module:
    """Builds the model of the config, with random weights."""
    config = Config.fromfile(REPOSITORY / CONFIG)
    init_default_scope(config.default_scope)
    return MODELS.build(config.model).eval()


def call(variant: str, model: nn.Module) -> Callable[[], object]:
    """Returns the function that is measured."""
    channels = model.backbone.in_channels
    clip = torch.randn(
        1, FRAMES, JOINTS, channels, generator=torch.Generator().manual_seed(0)
    )

    @torch.inference_mode()
    def forward() -> object:
        with mock.patch.object(s6, 'path_scan', VARIANTS[variant]):
            return model.head(model.backbone(clip))

    return forward


def _memory(variant: str) -> int:
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.ops.posemamba', '--memory', variant,
         str(torch.get_num_threads())],
        cwd=REPOSITORY,
        env={**os.environ, **MEMORY_ENVIRONMENT},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--memory']:
        _, _, variant, threads = sys.argv
        torch.set_num_threads(int(threads))
        print(peak_memory(call(variant, build())))
    else:
        run(measure, __doc__, sys.argv[1:])
