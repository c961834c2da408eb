"""Batches for lifters."""

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import Tensor

FLIP_INDICES = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]


def tiny_model(num_frames: int = 9, in_channels: int = 2, **backbone) -> dict:
    """Config of a PoseMamba lifter that trains a step in no time."""
    return dict(
        type='PoseLifter',
        backbone=dict(
            type='mmssm.PoseMamba',
            embed_dims=16,
            depth=2,
            num_frames=num_frames,
            in_channels=in_channels,
            **backbone,
        ),
        head=dict(
            type='mmssm.LiftingHead',
            in_channels=16,
            decoder=dict(type='MotionBERTLabel', num_keypoints=17, rootrel=True),
        ),
        test_cfg=dict(flip_test=False),
    )


def batch(
    num_clips: int = 2, num_frames: int = 9, channels: int = 2, seed: int = 0
) -> tuple[Tensor, list[PoseDataSample]]:
    """2D clips and data samples with 3D labels, as the pipeline packs them."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(num_clips, num_frames, 17, channels, generator=generator)
    samples = []
    for i in range(num_clips):
        target = torch.randn(num_frames, 17, 3, generator=generator)
        sample = PoseDataSample(
            metainfo=dict(
                id=i,
                flip_indices=FLIP_INDICES,
                camera_param=dict(w=1000, h=1002),
                factor=np.full((num_frames, 1), 4.0, dtype=np.float32),
            )
        )
        sample.gt_instance_labels = InstanceData(
            lifting_target_label=target - target[:, :1],
            lifting_target_weight=torch.ones(num_frames, 17),
        )
        samples.append(sample)
    return inputs, samples
