"""Depth maps of scenes, as a structured-light camera measures them."""

import cv2
import numpy as np

from mmssm.datasets.synthhand.meshes import Mesh, box, ellipsoid
from mmssm.datasets.synthhand.scenes import Scene
from mmssm.geometry.hand_model import HandModel
from mmssm.geometry.rasterizer import rasterize
from mmssm.structures import hand

DISPARITY = 348.0
"""Disparity steps at one metre: Kinect's 580 px x 0.075 m, in eighths of a pixel."""

_EDGE = 0.02
"""Steps in depth beyond this lose pixels, metres."""


class DepthSensor:
    """Renders scenes as depth maps.

    Args:
        model: The hand of the scenes.
        size: Height and width of the maps, pixels.
    """

    def __init__(self, model: HandModel, size: tuple[int, int]) -> None:
        self.faces = model.faces.numpy()
        self.size = size

    def measure(self, scene: Scene, rng: np.random.Generator) -> np.ndarray:
        """A depth map with a wall, furniture, steps, noise and lost pixels.

        Returns:
            ``(H, W)`` uint16, millimetres, 0 where nothing was measured.
        """
        camera = scene.hand.camera
        depth = _wall(rng, camera, self.size)
        layers = [Mesh(scene.hand.vertices, self.faces), scene.arm, *scene.things]
        layers += [*_body(rng, scene), *_furniture(rng)]
        for mesh in layers:
            seen = rasterize(*mesh, camera, self.size, cull_back=True)
            depth = np.minimum(depth, seen.depth)
        return _sense(rng, depth)


def _wall(
    rng: np.random.Generator, camera: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Depth of a plane behind everything: n . X = d along each pixel's ray."""
    y, x = np.mgrid[: size[0], : size[1]]
    rays = np.stack(
        [(x - camera[0, 2]) / camera[0, 0], (y - camera[1, 2]) / camera[1, 1]], -1
    )
    slope = 1 + rays @ rng.normal(0, 0.12, 2)
    return rng.uniform(1.5, 2.6) / np.clip(slope, 0.5, None)


def _body(rng: np.random.Generator, scene: Scene) -> list[Mesh]:
    """A trunk where the arm ends, unless that is before the hand."""
    end = scene.arm.vertices[-1]
    trunk = ellipsoid(rng.uniform([0.14, 0.25, 0.1], [0.2, 0.4, 0.16]))
    place = end + np.array([0, 0.1, 0.12])
    if trunk.vertices[:, 2].min() + place[2] < scene.hand.joints[:, 2].max() + 0.03:
        return []
    return [Mesh(trunk.vertices + place, trunk.faces)]


def _furniture(rng: np.random.Generator) -> list[Mesh]:
    boxes = []
    for _ in range(int(rng.integers(0, 4))):
        mesh = box(rng.uniform(0.06, 0.3, 3))
        place = rng.uniform([-0.7, -0.5, 1.5], [0.7, 0.6, 2.2])
        boxes.append(Mesh(mesh.vertices + place, mesh.faces))
    return boxes


def _sense(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Shifts at edges, noise and steps in disparity, lost pixels; millimetres."""
    height, width = depth.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    shift = [
        cv2.GaussianBlur(rng.normal(0, 1.2, depth.shape), (0, 0), 1.5).astype('f4')
        for _ in range(2)
    ]
    shaken = cv2.remap(
        depth.astype(np.float32),
        x + shift[0],
        y + shift[1],
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    )
    disparity = DISPARITY / shaken + rng.normal(0, rng.uniform(0.15, 0.45), depth.shape)
    measured = 1000 * DISPARITY / np.maximum(np.round(disparity), 1)
    kernel = np.ones((3, 3), np.uint8)
    step = cv2.dilate(shaken, kernel) - cv2.erode(shaken, kernel)
    lost = (step > _EDGE) & (rng.random(depth.shape) < 0.35)
    return np.where(lost, 0, np.round(measured)).astype(np.uint16)


def nyu_joints(joints: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """The 36 joints of NYU's files out of 21.

    The 14 that are evaluated stand at their places (``structures.hand``); the
    others are joints, or middles of bones.

    Args:
        joints: ``(21, 3)`` in the order ``'op21'``.

    Returns:
        ``(36, 3)`` and their names.
    """
    by_name = dict(zip(hand.JOINT_NAMES, joints, strict=True))
    across = np.cross(joints[17] - joints[0], joints[5] - joints[0])
    by_name['wrist_back'] = joints[0] + 0.015 * across / np.linalg.norm(across)
    by_name['palm'] = joints[[0, 5, 9, 13, 17]].mean(0)

    def middle(a: str, b: str) -> str:
        name = f'{a}_{b}_middle'
        by_name[name] = (by_name[a] + by_name[b]) / 2
        return name

    names: list[str] = []
    for finger in reversed(hand.FINGERS[1:]):
        base, first, second, tip = (f'{finger}{k}' for k in (1, 2, 3, 4))
        names += [tip, middle(second, tip), second, first, middle(base, first), base]
    names += ['thumb4', 'thumb3', middle('thumb2', 'thumb3'), 'thumb1']
    names += ['thumb2', middle('wrist', 'thumb1'), 'wrist_back', 'wrist', 'palm']
    names += [middle('wrist', f'{finger}1') for finger in hand.FINGERS[1:4]]
    return np.stack([by_name[name] for name in names]), tuple(names)
