"""Scenes: a posed hand before a camera, its forearm, and things in the way."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from mmssm.datasets.synthhand.meshes import Mesh, box, cylinder, ellipsoid, forearm
from mmssm.datasets.synthhand.poses import PosePrior
from mmssm.geometry.hand_model import HandModel
from mmssm.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from mmssm.geometry.skinning import pose_hand, shape_hand
from mmssm.structures import hand

_TO_OP21 = list(hand.permutation('mano'))

_LEAST_DISTANCE = 0.25
"""Hands are not brought nearer to the camera, metres."""

_HAND_END = -0.008
"""Where the hand's mesh ends at the back, along the wrist's axis, metres."""

_ARM_TOWARDS_CAMERA = -0.6
"""Least z of the forearm's direction; it would hide the hand otherwise."""

_OPEN_PALM = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Wrist's flexion axis, abduction axis and direction, of a palm before a camera.

The fingers' direction is up (-y), and a flexed finger comes nearer (-z).
"""

_SHAPE_LIMIT = 2.5
"""Shape coefficients beyond this are drawn again."""


@dataclass(frozen=True)
class View:
    """How hands stand before the camera.

    Attributes:
        size: Height and width of the picture, pixels.
        focal: Lowest and highest focal length, pixels.
        aspect: Vertical over horizontal focal length.
        centre: Principal point, pixels.
        distance: Lowest and highest distance of the hand, metres.
        extent: Lowest and highest length of the joints' box, share of the
            shorter side of the picture; decides instead of ``distance``.
        margin: Least distance of joints from the picture's edge, pixels.
        max_turn: How far a hand is turned, at most, from an open palm before the
            camera, fingers up, degrees (10 or more); all such rotations are alike.
    """

    size: tuple[int, int]
    focal: tuple[float, float]
    centre: tuple[float, float]
    margin: float
    aspect: float = 1.0
    distance: tuple[float, float] = (0.5, 1.0)
    extent: tuple[float, float] | None = None
    max_turn: float = 180.0


@dataclass(frozen=True)
class HandPose:
    """A right hand in a camera's frame (x right, y down, z forward), metres.

    Attributes:
        camera: ``(3, 3)`` pinhole matrix K, pixels.
        pose: ``(48,)`` axis-angle of the 16 joints, radians, the model's
            ``hands_mean`` subtracted.
        betas: ``(S,)`` shape coefficients.
        vertices: ``(V, 3)``.
        joints: ``(21, 3)`` in the order ``'op21'``.
        turn: ``(3, 3)`` rotation of the wrist.
    """

    camera: np.ndarray
    pose: np.ndarray
    betas: np.ndarray
    vertices: np.ndarray
    joints: np.ndarray
    turn: np.ndarray

    @property
    def uv(self) -> np.ndarray:
        """``(21, 2)`` joints in the picture, pixels."""
        points = self.joints @ self.camera.T
        return points[:, :2] / points[:, 2:]


@dataclass(frozen=True)
class Scene:
    """A hand and what else is there.

    Attributes:
        hand: The hand.
        arm: Its forearm.
        arm_at_rest: The same where the hand is at rest in the model's frame.
        things: Objects held, or in the way.
    """

    hand: HandPose
    arm: Mesh
    arm_at_rest: Mesh
    things: list[Mesh] = field(default_factory=list)


class SceneSampler:
    """Draws scenes.

    Args:
        model: The hand, in double precision: what is drawn is written with
            seven decimals.
        view: How it stands before the camera.
    """

    def __init__(self, model: HandModel, view: View) -> None:
        self.model = model
        self.view = view
        self.prior = PosePrior(self.model)
        self.band = _wrist_band(model, self.prior.frames[0])

    def sample(self, rng: np.random.Generator) -> Scene:
        """Draws a hand, its arm and things."""
        pose = self.sample_hand(rng)
        arm, wrist = self._arm(rng, pose)
        # the wrist is the first joint in either order
        moved = (arm.vertices - wrist) @ pose.turn.T + pose.joints[0]
        return Scene(pose, Mesh(moved, arm.faces), arm, _things(rng, pose))

    def sample_hand(self, rng: np.random.Generator) -> HandPose:
        """Draws a hand whose joints are all in the picture."""
        model = self.model
        betas = rng.normal(0, 1, (1, model.num_shapes))
        while np.abs(betas).max() > _SHAPE_LIMIT:
            wide = np.abs(betas) > _SHAPE_LIMIT
            betas = np.where(wide, rng.normal(0, 1, betas.shape), betas)
        shape = torch.from_numpy(betas)
        rotations = self.prior.sample(rng, shape)
        rotations[0] = torch.from_numpy(self._wrist_turn(rng))
        posed = pose_hand(model, rotations[None], shape)
        vertices = posed.vertices[0].numpy()
        joints = np.concatenate([posed.joints[0].numpy(), vertices[list(model.tips)]])
        joints = joints[_TO_OP21]
        while True:
            camera, place = self._place(rng, joints)
            moved = joints + place
            points = moved @ camera.T
            uv = points[:, :2] / points[:, 2:]
            margin = self.view.margin
            edge = np.array(self.view.size[::-1]) - 1 - margin
            if (uv >= margin).all() and (uv <= edge).all():
                break
        pose = matrix_to_axis_angle(rotations)
        pose[1:] -= model.hands_mean
        return HandPose(
            camera=camera,
            pose=pose.numpy().ravel(),
            betas=betas[0],
            vertices=vertices + place,
            joints=moved,
            turn=rotations[0].numpy(),
        )

    def _wrist_turn(self, rng: np.random.Generator) -> np.ndarray:
        """Any rotation in reach whose forearm does not point at the camera."""
        frame = self.prior.frames[0].numpy()
        while True:
            turn = _random_rotation(rng, self.view.max_turn) @ _OPEN_PALM @ frame.T
            if -(turn @ frame)[2, 2] > _ARM_TOWARDS_CAMERA:
                return turn

    def _place(
        self, rng: np.random.Generator, joints: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A camera, and how far the hand moves before it."""
        view = self.view
        focal = rng.uniform(*view.focal)
        camera = np.array(
            [
                [focal, 0, view.centre[0]],
                [0, view.aspect * focal, view.centre[1]],
                [0, 0, 1],
            ]
        )
        low, high = joints.min(0), joints.max(0)
        if view.extent is not None:
            spread = 0.1
            length = rng.uniform(*view.extent) * min(view.size)
            # a foreshortened hand is not brought so near that it fills the picture
            span = max((high - low)[:2].max(), 0.7 * (high - low).max())
            depth = focal * span / length
        else:
            spread = 0.22
            depth = rng.uniform(*view.distance)
        depth = max(depth, _LEAST_DISTANCE)
        middle = (low + high) / 2
        target = np.array(view.size[::-1]) * rng.normal(0.5, spread, 2) - 0.5
        place = depth * (target - camera[:2, 2]) / np.diag(camera)[:2]
        return camera, np.append(place, depth) - middle

    def _arm(self, rng: np.random.Generator, pose: HandPose) -> tuple[Mesh, np.ndarray]:
        """The forearm in the model's frame, and the wrist there."""
        model = self.model
        shaped, rest = shape_hand(model, 1, torch.from_numpy(pose.betas[None]))
        vertices, wrist = shaped[0].numpy(), rest[0, 0].numpy()
        frame = self.prior.frames[0].numpy()
        out = ((vertices[self.band] - wrist) @ frame)[:, :2]
        low, high = out.min(0), out.max(0)
        middle = wrist + frame @ np.append((low + high) / 2, _HAND_END)
        angles = np.radians([rng.normal(0, 9), rng.normal(0, 5), 0])
        bend = axis_angle_to_matrix(torch.from_numpy(angles)).numpy()
        return forearm(middle, frame, (high - low) / 2, bend), wrist


def _wrist_band(model: HandModel, frame: Tensor) -> np.ndarray:
    """Vertices around the wrist; the hand's end behind it is cut aslant."""
    reach = ((model.v_template - model.joints[0]) @ frame[:, 2]).numpy()
    return np.flatnonzero(np.abs(reach) < 0.012)


def _random_rotation(rng: np.random.Generator, limit: float = 180.0) -> np.ndarray:
    """A rotation of the uniform distribution, by an angle of ``limit`` at most."""
    least = np.cos(np.radians(limit) / 2)
    while True:
        q = rng.normal(size=4)
        w, x, y, z = q / np.linalg.norm(q)
        if abs(w) >= least:
            break
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _things(rng: np.random.Generator, pose: HandPose) -> list[Mesh]:
    """Nothing, something in the hand, or something before it."""
    kind = rng.random()
    if kind < 0.55:
        return []
    make = (ellipsoid, cylinder, box)[rng.integers(3)]
    turn = _random_rotation(rng)
    joints = pose.joints
    if kind < 0.8:
        # where a grasp would close: before the palm, under the fingers
        radii = rng.uniform(0.012, 0.035, 3)
        radii[rng.integers(3)] *= rng.uniform(1, 3)
        across = np.cross(joints[5] - joints[0], joints[17] - joints[0])
        normal = across / np.linalg.norm(across)
        knuckles = joints[[5, 9, 13, 17]].mean(0)
        place = knuckles + normal * (radii.min() + rng.uniform(0.015, 0.03))
    else:
        radii = rng.uniform(0.01, 0.04, 3)
        share = rng.uniform(0.6, 0.9)
        place = share * (joints[rng.integers(21)] + rng.normal(0, 0.02, 3))
        radii = radii * share
    mesh = make(radii)
    return [Mesh(mesh.vertices @ turn.T + place, mesh.faces)]
