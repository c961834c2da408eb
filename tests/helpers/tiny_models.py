"""The smallest model of each family, as configs that `MODELS.build` takes."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from mmssm.models.layers import DSSM

from .lifting import tiny_model

_SAS = dict(type='mmssm.SasMamba', embed_dims=8, depth=1, num_frames=3, d_state=2)
_CODEC = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(2, 2), sigma=2)


def _lifter(backbone: dict) -> dict:
    config = tiny_model(num_frames=3)
    config['head']['in_channels'] = backbone['embed_dims']
    return {**config, 'backbone': backbone}


def _heatmaps(backbone: dict, channels: int) -> dict:
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(
            type='PoseDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
        ),
        backbone=backbone,
        head=dict(
            type='HeatmapHead',
            in_channels=channels,
            out_channels=21,
            deconv_out_channels=None,
            deconv_kernel_sizes=None,
            decoder=_CODEC,
        ),
    )


CONFIGS = {
    'PoseMamba': _lifter(
        dict(
            type='mmssm.PoseMamba',
            embed_dims=8,
            depth=1,
            num_frames=3,
            in_channels=3,
            d_state=2,
        )
    ),
    'SasMamba': _lifter(_SAS),
    'DFMamba': _heatmaps(
        dict(
            type='mmssm.DFMamba',
            blocks='CCDCCC',
            depths=(1,) * 6,
            dims=(8, 8, 8, 8),
            d_state=2,
            out_indices=(5,),
        ),
        8,
    ),
    'VMamba': _heatmaps(
        dict(
            type='mmssm.VMamba',
            embed_dims=4,
            depths=(1, 1),
            out_indices=(1,),
            drop_path_rate=0.0,
        ),
        8,
    ),
    'Hamba': dict(
        type='mmssm.HandMeshEstimator',
        backbone=dict(
            type='ResNet',
            depth=18,
            stem_channels=4,
            base_channels=4,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        ),
        head=dict(
            type='mmssm.HambaHead',
            in_channels=16,
            embed_dims=8,
            regressor_depths=(1,),
            num_gss=1,
            gss_depth=1,
            feat_size=(2, 2),
            crop_size=32,
            stride=16,
            first_cell=0.0,
        ),
    ),
}
"""All of them, by the name of the family."""


def build(family: str, **backbone) -> nn.Module:
    """Builds a model with random weights, whose samples are read beside their places.

    Args:
        family: A key of :data:`CONFIGS`.
        **backbone: Changes of the backbone.
    """
    config = copy.deepcopy(CONFIGS[family])
    config['backbone'].update(backbone)
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    for module in model.modules():
        if isinstance(module, DSSM):
            nn.init.normal_(module.sample_weight, std=0.5)
    return model


def first_alone(names: Iterable[str], count: int = 1) -> list[Any]:
    """Cases of a test: `make test` takes the first, `make test-long` the rest."""
    return [
        pytest.param(name, marks=[pytest.mark.long] if number >= count else [])
        for number, name in enumerate(names)
    ]
