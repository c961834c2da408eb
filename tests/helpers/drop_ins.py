"""Hand configs: samples for their pipelines, and copies that train in seconds."""

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseModel
from mmpose.registry import TRANSFORMS

from helpers.modules import ROOT

NEEDS_MORE = (
    'LoadImage',
    'mmssm.LoadCheckedImage',
    'mmdet.YOLOXHSVRandomAug',
    'Albumentation',
)
"""Steps of MMPose's pipelines that read a file, or need packages beside MMPose."""

SMALL_BACKBONES = {
    'mmssm.DFMamba': dict(dims=(8, 16, 32, 64), depths=(1,) * 6, d_state=2),
    'ResNet': dict(depth=18, stem_channels=8, base_channels=8),
    'mmssm.VMamba': dict(embed_dims=8, depths=(1, 1, 1, 1), drop_path_rate=0.0),
}
"""What to change in a backbone; the widths of its maps are 8, 16, 32 and 64."""


def drop_in_configs(folder: str) -> list[Path]:
    """The configs that put a backbone into MMPose's, by the folder of its name."""
    paths = (ROOT / 'configs').glob(f'hand_*d_keypoint/{folder}/*/*.py')
    return sorted(path for path in paths if is_drop_in(path))


def is_drop_in(path: Path) -> bool:
    """Whether a config inherits from one of MMPose's."""
    return 'mmpose::' in path.read_text()


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
    rng = np.random.default_rng(seed)
    sample = _raw_sample(rng, config.model.head.type == 'InternetHead')
    return Compose(transforms)(sample)


def _raw_sample(rng: np.random.Generator, of_two: bool) -> dict[str, Any]:
    """What a dataset gives for one hand, or for the two of InterHand."""
    num = 42 if of_two else 21
    keypoints = rng.uniform(40, 160, (1, num, 3)).astype(np.float32)
    sample = dict(
        id=0,
        img_id=0,
        img_path='none.jpg',
        img=rng.integers(0, 255, (200, 220, 3), dtype=np.uint8),
        img_shape=(200, 220),
        bbox=np.array([[20, 20, 180, 180]], dtype=np.float32),
        bbox_score=np.ones(1, dtype=np.float32),
        keypoints=keypoints if of_two else keypoints[..., :2],
        keypoints_visible=np.ones((1, num), dtype=np.float32),
        keypoints_cam=keypoints if of_two else keypoints / 1000,
        focal=np.ones((1, 2), dtype=np.float32),
        principal_pt=np.zeros((1, 2), dtype=np.float32),
        hand_type=np.array([[1, of_two]], dtype=np.float32),
        flip_indices=list(range(num)),
        category_id=1,
        iscrowd=0,
        dataset_name='random',
        upper_body_ids=[],
        lower_body_ids=[],
    )
    if of_two:
        sample |= dict(
            rotation=0,
            hand_type_valid=np.ones(1, dtype=np.float32),
            rel_root_depth=np.array(50, dtype=np.float32),
            rel_root_valid=1.0,
            abs_depth=[500.0, 500.0],
        )
    return sample


def batch_of(model: BaseModel, config: Config, phase: str) -> dict[str, Any]:
    """Two samples of the config's pipeline, as its model takes them."""
    samples = [piped_sample(config, phase, seed) for seed in range(2)]
    return model.data_preprocessor(pseudo_collate(samples), training=phase == 'train')
