"""Hand configs: samples for their pipelines, and copies that train in seconds."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.registry import TRANSFORMS

from helpers.modules import ROOT

NEEDS_MORE = ('LoadImage', 'mmdet.YOLOXHSVRandomAug', 'Albumentation')
"""Steps of MMPose's pipelines that read a file, or need packages beside MMPose."""

SMALL_BACKBONES = {
    'mmssm.VMamba': dict(embed_dims=8, depths=(1, 1, 1, 1), drop_path_rate=0.0),
}
"""What to change in a backbone; the widths of its maps are 8, 16, 32 and 64."""


def drop_in_configs(folder: str) -> list[Path]:
    """The configs that put a backbone into MMPose's, by the folder of its name."""
    return sorted((ROOT / 'configs').glob(f'hand_*d_keypoint/{folder}/*/*.py'))


def shrink_model(model: dict) -> None:
    """Makes the model of a drop-in config small, in place."""
    backbone, head = model['backbone'], model['head']
    backbone.update(SMALL_BACKBONES[backbone['type']])
    last = 64
    if head['type'] == 'InternetHead':
        head['keypoint_head_cfg'].update(
            in_channels=last, deconv_out_channels=(8, 8, 8)
        )
        for name in ('root_head_cfg', 'hand_type_head_cfg'):
            head[name].update(in_channels=last, hidden_dims=(16,))
    elif head['type'] == 'RTMCCHead':
        head['in_channels'] = last
    else:
        is_pyramid = head.get('deconv_out_channels', ()) is None
        head['in_channels'] = 8 + 16 + 32 + 64 if is_pyramid else last
        if is_pyramid:
            head['conv_out_channels'] = (16,)
        else:
            head['deconv_out_channels'] = (8, 8, 8)


def piped_sample(config: Config, phase: str, seed: int = 0) -> dict[str, Any]:
    """One sample as the config's own pipeline makes it of a random image.

    Args:
        config: A drop-in config.
        phase: ``'train'`` or ``'val'``.
        seed: Of the image and the joints.
    """
    steps = config[f'{phase}_dataloader'].dataset.pipeline
    transforms = [
        TRANSFORMS.build(step) for step in steps if step['type'] not in NEEDS_MORE
    ]
    is_3d = config.model.head.type == 'InternetHead'
    return Compose(transforms)(_raw_sample(np.random.default_rng(seed), is_3d))


def _raw_sample(rng: np.random.Generator, is_3d: bool) -> dict[str, Any]:
    """What a dataset of MMPose gives for one hand, or for two in 3D."""
    num = 42 if is_3d else 21
    keypoints = rng.uniform(40, 160, (1, num, 3 if is_3d else 2)).astype(np.float32)
    sample = dict(
        id=0,
        img_id=0,
        img_path='none.jpg',
        img=rng.integers(0, 255, (200, 220, 3), dtype=np.uint8),
        img_shape=(200, 220),
        bbox=np.array([[20, 20, 180, 180]], dtype=np.float32),
        bbox_score=np.ones(1, dtype=np.float32),
        keypoints=keypoints,
        keypoints_visible=np.ones((1, num), dtype=np.float32),
        flip_indices=list(range(num)),
        category_id=1,
        iscrowd=0,
        dataset_name='random',
        upper_body_ids=[],
        lower_body_ids=[],
    )
    if is_3d:
        sample |= dict(
            keypoints_cam=keypoints,
            rotation=0,
            focal=np.ones((1, 2), dtype=np.float32),
            principal_pt=np.zeros((1, 2), dtype=np.float32),
            hand_type=np.array([[1, 1]], dtype=np.float32),
            hand_type_valid=np.ones(1, dtype=np.float32),
            rel_root_depth=np.array(50, dtype=np.float32),
            rel_root_valid=1.0,
            abs_depth=[500.0, 500.0],
        )
    return sample
