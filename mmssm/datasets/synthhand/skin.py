"""What a hand's skin looks like: tone, palm, nails, knuckles and creases.

Everything is a function of the place on the hand at rest, evaluated pixel by
pixel, so details are finer than the mesh.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mmssm.datasets.synthhand.colours import look_up, to_linear
from mmssm.datasets.synthhand.meshes import Mesh
from mmssm.datasets.synthhand.poses import (
    FINGERS,
    NEIGHBOURS,
    THUMB,
    anatomical_frames,
)
from mmssm.geometry.hand_model import HandModel
from mmssm.geometry.rasterizer import vertex_normals

TONES = to_linear(
    np.array(
        [
            [246, 214, 190],
            [236, 192, 160],
            [222, 170, 132],
            [198, 138, 98],
            [158, 102, 70],
            [112, 70, 48],
            [74, 46, 34],
        ]
    )
    / 255
)
"""Skin of the hand's back from light to dark, linear RGB."""

PALM = to_linear(np.array([226, 160, 138]) / 255)
NAIL = to_linear(np.array([240, 196, 184]) / 255)
FLUSH = np.array([1.0, 0.74, 0.7])

_FAR = -1.0
"""Along-bone coordinate where no crease is wanted, metres."""

_PALM_LINES = (
    ((-0.008, -0.052), (-0.018, -0.02), (-0.034, 0.004)),
    ((0.006, 0.02), (-0.006, -0.01), (0.014, -0.044)),
    ((0.0, 0.022), (0.0, -0.008), (0.044, -0.006)),
)
"""Ends and middle of the three great creases, (x, z) on the palm at rest."""

_MAP_SIZE = 256
_MAP_ORIGIN = np.array([-0.06, -0.08])
_MAP_SCALE = _MAP_SIZE / 0.16


@dataclass(frozen=True)
class SkinLook:
    """How one person's skin looks.

    Attributes:
        back: ``(3,)`` linear RGB of the back of the hand.
        palm: ``(3,)`` linear RGB of the palm.
        nail: ``(3,)`` linear RGB of the nails.
        mottle: ``(6, 5)`` waves of uneven colour: direction and frequency (1 / m),
            phase, strength.
        creases: Strength of creases and wrinkles, 0 to 1.
        gloss: Strength of highlights.
    """

    back: np.ndarray
    palm: np.ndarray
    nail: np.ndarray
    mottle: np.ndarray
    creases: float
    gloss: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'SkinLook':
        """Draws a person."""
        place = rng.uniform(0, len(TONES) - 1)
        below = min(int(place), len(TONES) - 2)
        share = place - below
        back = (1 - share) * TONES[below] + share * TONES[below + 1]
        back = back * rng.normal(1, [0.05, 0.04, 0.05])
        darkness = place / (len(TONES) - 1)
        paler = rng.uniform(0.2, 0.4) + 0.25 * darkness
        palm = (1 - paler) * back + paler * PALM * (1 - 0.25 * darkness)
        painted = rng.random() < 0.12
        nail = rng.uniform(0.02, 0.7, 3) if painted else 0.45 * back + 0.55 * NAIL
        waves = np.concatenate(
            [
                rng.normal(0, 220, (6, 3)),
                rng.uniform(0, 2 * np.pi, (6, 1)),
                rng.uniform(0.005, 0.022, (6, 1)),
            ],
            1,
        )
        return cls(
            back, palm, nail, waves, rng.uniform(0.4, 1), rng.uniform(0.02, 0.12)
        )


class SkinMap:
    """Places on a hand that skin depends on.

    Args:
        model: A hand of 16 joints in MANO's order with ``joint_frames`` and tips.
    """

    def __init__(self, model: HandModel) -> None:
        vertices = model.v_template.double().numpy()
        joints = model.joints.double().numpy()
        frames = anatomical_frames(model).double().numpy()
        weights = model.weights.double().numpy()
        normals = vertex_normals(vertices, model.faces.numpy())
        up = weights @ frames[:, :, 1]
        self._up = frames[0, :, 1]
        columns = np.zeros((len(vertices), 6))
        columns[:, 0] = (normals * up).sum(1)
        owner = weights.argmax(1)
        chain = _chains(vertices, joints, frames, owner)
        firsts = (THUMB, *(FINGERS[name] for name in NEIGHBOURS))
        for first, tip in zip(firsts, model.tips, strict=True):
            mine = chain == first
            last = first + 2
            out = (vertices[mine] - joints[last]) @ frames[last]
            length = (vertices[tip] - joints[last]) @ frames[last, :, 2]
            width = np.abs(out[owner[mine] == last, 0]).max()
            columns[mine, 1] = out[:, 2] / length
            columns[mine, 2] = out[:, 0] / width
            for place in range(3):
                joint = first + place
                reach = (vertices[mine] - joints[joint]) @ frames[joint, :, 2]
                columns[mine, 3 + place] = reach
        columns[chain == THUMB, 3] = _FAR
        self.attributes = np.concatenate([columns, vertices], 1)
        """``(V, 9)``: towards the back (-1 to 1); along and across the last bone
        in its length and half width; along the three bones from their joints;
        place at rest."""
        self._lines = _palm_lines()

    def arm_attributes(self, arm: Mesh) -> np.ndarray:
        """Attributes ``(V, 9)`` of a forearm in the model's frame."""
        normals = vertex_normals(*arm)
        columns = np.full((len(normals), 6), _FAR)
        columns[:, 0] = normals @ self._up
        columns[:, 2] = 0
        return np.concatenate([columns, arm.vertices], 1)

    def colour(self, look: SkinLook, values: np.ndarray) -> np.ndarray:
        """Reflectance ``(P, 3)``, linear RGB, of attributes ``(P, 9)``."""
        towards_back, along, across = values[:, 0], values[:, 1], values[:, 2]
        back = _step(towards_back, -0.35, 0.45)[:, None]
        colour = back * look.back + (1 - back) * look.palm
        waves = np.sin(values[:, 6:] @ look.mottle[:, :3].T + look.mottle[:, 3])
        colour *= 1 + (waves @ look.mottle[:, 4])[:, None] * [0.5, 1.0, 1.1]
        # blood shows at fingertips and knuckles
        flush = 0.45 * _step(along, 0.3, 1.1)
        for place in range(3):
            flush += 0.3 * np.exp(-((values[:, 3 + place] / 0.008) ** 2)) * back[:, 0]
        colour *= 1 - np.minimum(flush, 0.8)[:, None] * (1 - FLUSH)
        colour *= 1 - look.creases * self._creases(values, back[:, 0])[:, None]
        nail = 1 - _step(
            ((along - 0.73) / 0.27) ** 4 + (across / 0.68) ** 4, 0.75, 1.05
        )
        nail *= _step(towards_back, 0.15, 0.4)
        rim = _step(along, 0.9, 0.94)[:, None] * 0.35
        nail_colour = look.nail * (1 - rim) + rim * np.array([0.8, 0.77, 0.7])
        return colour + nail[:, None] * (nail_colour - colour)

    def _creases(self, values: np.ndarray, back: np.ndarray) -> np.ndarray:
        """How much lines darken: ``(P,)``, 0 to 1."""
        dark = np.zeros(len(values))
        for place in range(1, 3):
            reach = values[:, 3 + place]
            line = np.exp(-(((reach + 0.001) / 0.0009) ** 2))
            folds = np.exp(-((reach / 0.004) ** 2))
            folds *= 0.5 + 0.5 * np.cos(2 * np.pi * reach / 0.0022)
            dark += 0.4 * (1 - back) * line + 0.22 * back * folds
        base = values[:, 3] - 0.021
        dark += 0.35 * (1 - back) * np.exp(-((base / 0.0011) ** 2))
        place = (values[:, [6, 8]] - _MAP_ORIGIN) * _MAP_SCALE
        palm = look_up(self._lines, place[:, 1], place[:, 0], 0.0)
        on_palm = _step(-values[:, 0], 0.1, 0.5)
        return np.minimum(dark + 0.4 * palm * on_palm, 0.7)


def _chains(
    vertices: np.ndarray, joints: np.ndarray, frames: np.ndarray, owner: np.ndarray
) -> np.ndarray:
    """First joint of the finger each vertex belongs to; the palm goes by rays."""
    chain = np.where(owner == 0, 0, 1 + 3 * ((owner - 1) // 3))
    palm = chain == 0
    firsts = np.array([FINGERS[name] for name in NEIGHBOURS])
    across = (vertices[palm] - joints[0]) @ frames[0, :, 0]
    rays = (joints[firsts] - joints[0]) @ frames[0, :, 0]
    chain[palm] = firsts[np.abs(across[:, None] - rays).argmin(1)]
    return chain


def _palm_lines() -> np.ndarray:
    """The palm's creases as a picture over (x, z), 0 to 1."""
    share = np.linspace(0, 1, 40)[:, None]
    picture = np.zeros((_MAP_SIZE, _MAP_SIZE), np.uint8)
    for ends in _PALM_LINES:
        a, b, c = (np.array(point) for point in ends)
        curve = (1 - share) ** 2 * a + 2 * share * (1 - share) * b + share**2 * c
        pixels = ((curve - _MAP_ORIGIN) * _MAP_SCALE)[:, ::-1]
        cv2.polylines(
            picture, [np.round(16 * pixels).astype(np.int32)], False, 255, 2, 16, 4
        )
    return cv2.GaussianBlur(picture.astype(np.float32) / 255, (0, 0), 1.0)


def _step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth rise from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
