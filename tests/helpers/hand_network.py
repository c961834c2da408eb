"""A tiny network of hand meshes, untrained, and images for it."""

from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

from mmssm.apis import find_model


def write_hand_network(folder: Path) -> tuple[str, str]:
    """Writes config and weights; returns their paths."""
    config = Config.fromfile(find_model('hamba-small-synthhand').config)
    config.model.backbone.update(stem_channels=4, base_channels=4)
    config.model.head.update(in_channels=16, embed_dims=32)
    path = folder / 'tiny.py'
    config.dump(path)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(config.model)
    weights = folder / 'tiny.pth'
    torch.save({'state_dict': model.state_dict()}, weights)
    return str(path), str(weights)


def write_image(
    path: Path, channels: int = 3, height: int = 60, width: int = 80
) -> Path:
    """Writes a picture of noise."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (height, width, channels), np.uint8)
    assert cv2.imwrite(str(path), image.squeeze())
    return path


def write_video(path: Path, grays: list[int]) -> Path | None:
    """Writes a frame of each grey value; None where OpenCV writes no videos."""
    code = cv2.VideoWriter.fourcc(*'MJPG')
    video = cv2.VideoWriter(str(path), code, 10, (80, 60))
    if not video.isOpened():
        return None
    for value in grays:
        video.write(np.full((60, 80, 3), value, np.uint8))
    video.release()
    return path
