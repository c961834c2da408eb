"""One sample of the data set: what its files hold, as bytes and rows."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from mmssm.datasets.synthhand.depth_maps import DepthSensor, nyu_joints
from mmssm.datasets.synthhand.pictures import Painter
from mmssm.datasets.synthhand.scenes import HandPose, SceneSampler, View
from mmssm.geometry.hand_model import free_hand_file, load_hand_model
from mmssm.structures import hand

RGB_VIEW = View(
    size=(224, 224),
    focal=(380.0, 620.0),
    centre=(112.0, 112.0),
    margin=4.0,
    extent=(0.4, 0.8),
)
"""Pictures as FreiHAND's: one hand fills most of 224 x 224 pixels."""

NYU_FOCAL = (588.03, 587.07)

DEPTH_VIEW = View(
    size=(480, 640),
    focal=(NYU_FOCAL[0], NYU_FOCAL[0]),
    aspect=NYU_FOCAL[1] / NYU_FOCAL[0],
    centre=(320.0, 240.0),
    margin=24.0,
    distance=(0.55, 0.95),
)
"""NYU's camera."""

_DIGITS = 7
"""Decimals of metres in the files: a tenth of a micrometre."""

_VARIANTS = {'rgb': 0, 'depth': 1}
_SPLITS = {'training': 0, 'evaluation': 1}

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


@dataclass(frozen=True)
class Sample:
    """What one hand adds to the data set.

    Attributes:
        files: Bytes by kind of file.
        rows: Rows by name of annotation file: JSON texts, or arrays.
    """

    files: dict[str, bytes]
    rows: dict[str, str | np.ndarray]


def sample_rng(seed: int, variant: str, split: str, index: int) -> np.random.Generator:
    """The randomness of one sample, whoever makes it and in which order.

    No two samples of a data set share a stream, splits included.
    """
    words = [seed, _VARIANTS[variant], _SPLITS[split], index]
    return np.random.default_rng(np.random.SeedSequence(words))


class RgbSamples:
    """Makes samples in FreiHAND's layout."""

    def __init__(self, seed: int, max_turn: float = 180.0) -> None:
        model = load_hand_model(free_hand_file(), torch.float64)
        self.seed = seed
        self.scenes = SceneSampler(model, replace(RGB_VIEW, max_turn=max_turn))
        self.painter = Painter(model, RGB_VIEW.size)

    def __call__(self, split: str, index: int) -> Sample:
        """Makes one sample."""
        rng = sample_rng(self.seed, 'rgb', split, index)
        scene = self.scenes.sample(rng)
        picture = self.painter.paint(scene, rng)
        return Sample(
            files={
                'rgb': _encode('.jpg', picture.image, _JPEG),
                'mask': _encode('.jpg', picture.mask, [cv2.IMWRITE_JPEG_QUALITY, 98]),
            },
            rows=freihand_rows(scene.hand),
        )


def freihand_rows(pose: HandPose) -> dict[str, str | np.ndarray]:
    """JSON of a hand's rows in FreiHAND's five files."""
    knuckle = pose.joints[hand.MIDDLE_BASE]
    bone = np.linalg.norm(knuckle - pose.joints[hand.MIDDLE_BASE + 1])
    # x = (u - cx) / scale, y = (v - cy) / scale, z = f / scale
    focal = (pose.camera[0, 0] + pose.camera[1, 1]) / 2
    scale = focal / knuckle[2]
    row = np.concatenate([pose.pose, pose.betas, pose.uv[hand.MIDDLE_BASE], [scale]])
    values = {
        'K': pose.camera,
        'xyz': pose.joints,
        'verts': pose.vertices,
        'mano': row[None],
        'scale': bone,
    }
    return {
        name: json.dumps(value.round(_DIGITS).tolist())
        for name, value in values.items()
    }


class DepthSamples:
    """Makes samples in NYU's layout."""

    def __init__(self, seed: int, max_turn: float = 180.0) -> None:
        model = load_hand_model(free_hand_file(), torch.float64)
        self.seed = seed
        self.scenes = SceneSampler(model, replace(DEPTH_VIEW, max_turn=max_turn))
        self.sensor = DepthSensor(model, DEPTH_VIEW.size)

    def __call__(self, split: str, index: int) -> Sample:
        """Makes one sample."""
        rng = sample_rng(self.seed, 'depth', split, index)
        scene = self.scenes.sample(rng)
        depth = self.sensor.measure(scene, rng)
        high, low = np.divmod(depth, 256)
        # blue, green, red: depth = 256 green + blue
        coded = np.stack([low, high, np.zeros_like(low)], -1).astype(np.uint8)
        joints, _ = nyu_joints(scene.hand.joints)
        points = joints @ scene.hand.camera.T
        millimetres = 1000 * joints
        return Sample(
            files={'depth_1': _encode('.png', coded, [cv2.IMWRITE_PNG_COMPRESSION, 4])},
            rows={
                'joint_uvd': np.concatenate(
                    [points[:, :2] / points[:, 2:], millimetres[:, 2:]], 1
                ),
                'joint_xyz': millimetres * [1, -1, 1],
            },
        )


Sampler = Callable[[str, int], Sample]
"""Makes the sample of a split and an index."""

SAMPLERS: dict[str, Callable[[int, float], Sampler]] = {
    'rgb': RgbSamples,
    'depth': DepthSamples,
}
"""What makes the samples of a variant, by its name, from a seed and ``max_turn``."""


def _encode(kind: str, picture: np.ndarray, options: list[int]) -> bytes:
    done, data = cv2.imencode(kind, picture, options)
    if not done:
        raise RuntimeError(f'OpenCV could not write {picture.shape} as {kind}')
    return data.tobytes()
