"""Hand poses within the limits of joints, fingers moving together.

Angles are anatomical and relative to the free hand at rest, whose fingers are
nearly straight: flexion bends a finger towards the palm, abduction turns it
towards the thumb's side.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmssm.geometry.hand_model import HandModel
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.geometry.skinning import forward_kinematics, shape_hand

NUM_JOINTS = 16

FINGERS = {'index': 1, 'middle': 4, 'little': 7, 'ring': 10}
"""First joint (MCP) of each finger in MANO's order; PIP and DIP follow."""

NEIGHBOURS = ('index', 'middle', 'ring', 'little')
"""The fingers side by side."""

THUMB = 13
"""The thumb's first joint (CMC) in MANO's order; MCP and IP follow."""

FLEXION_LIMITS = {
    'mcp': (-20.0, 85.0),
    'pip': (-5.0, 100.0),
    'dip': (-5.0, 70.0),
    'cmc': (-20.0, 30.0),
    'thumb_mcp': (-10.0, 50.0),
    'ip': (-15.0, 75.0),
}
"""Lowest and highest flexion of each kind of joint, degrees: inside the active
range of motion that clinical tables give (MCP 90, PIP 100 to 110, DIP 80 to 90)."""

ABDUCTION_LIMITS = {'mcp': (-18.0, 18.0), 'cmc': (-25.0, 30.0)}
"""Lowest and highest abduction, degrees. Other joints are hinges."""

SPREAD = {'index': 1.0, 'middle': 0.15, 'ring': -0.6, 'little': -1.2}
"""How far each finger goes towards the thumb's side when the hand spreads."""

_KINDS = ('mcp', 'pip', 'dip')
_THUMB_KINDS = ('cmc', 'thumb_mcp', 'ip')

_BONE_POINTS = 4
"""Places along a bone that are compared when fingers might collide."""

_OVERLAP = 0.004
"""How far flesh may yield where fingers touch, metres."""

_CANDIDATES = 12


class JointAngles(NamedTuple):
    """Angles of N poses, radians.

    Attributes:
        flexion: ``(N, 16)`` in MANO's order; 0 for the wrist.
        abduction: ``(N, 16)``; 0 for the wrist and for hinges.
    """

    flexion: np.ndarray
    abduction: np.ndarray


def _limits(table: dict[str, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.zeros(NUM_JOINTS), np.zeros(NUM_JOINTS)
    for first, kinds in [
        *((f, _KINDS) for f in FINGERS.values()),
        (THUMB, _THUMB_KINDS),
    ]:
        for place, kind in enumerate(kinds):
            low[first + place], high[first + place] = np.radians(
                table.get(kind, (0, 0))
            )
    return low, high


FLEXION_LOW, FLEXION_HIGH = _limits(FLEXION_LIMITS)
ABDUCTION_LOW, ABDUCTION_HIGH = _limits(ABDUCTION_LIMITS)


def sample_angles(rng: np.random.Generator, count: int) -> JointAngles:
    """Draws poses: hands that close and open, and single fingers that point.

    Args:
        rng: Source of randomness.
        count: N.

    Returns:
        Angles within the limits; fingers may run into each other.
    """
    curl = _finger_curls(rng, count)
    flexion = np.zeros((count, NUM_JOINTS))
    abduction = np.zeros((count, NUM_JOINTS))
    spread = np.radians(rng.normal(4.0, 6.0, count))
    for place, name in enumerate(NEIGHBOURS):
        mcp = FINGERS[name]
        # base and middle joint bend together, but not in lockstep
        bias = rng.normal(0, 0.22, count)
        base = np.radians(-12 + 88 * np.clip(curl[:, place] + bias, 0, 1))
        middle = np.radians(2 + 96 * np.clip(curl[:, place] - 0.7 * bias, 0, 1))
        flexion[:, mcp] = base + np.radians(rng.normal(0, 5, count))
        flexion[:, mcp + 1] = middle
        # one tendon bends both end joints
        flexion[:, mcp + 2] = 0.6 * middle + np.radians(rng.normal(0, 6, count))
        # collateral ligaments hold a bent finger
        freedom = 1 - 0.8 * np.clip(flexion[:, mcp] / np.radians(80), 0, 1)
        drift = np.radians(rng.normal(0, 3, count))
        abduction[:, mcp] = freedom * (SPREAD[name] * spread + drift)
    thumb = np.clip(0.5 * curl[:, :2].mean(1) + rng.normal(0.25, 0.25, count), 0, 1)
    flexion[:, THUMB] = np.radians(-12 + 40 * thumb + rng.normal(0, 7, count))
    flexion[:, THUMB + 1] = np.radians(-5 + 45 * thumb + rng.normal(0, 8, count))
    flexion[:, THUMB + 2] = np.radians(-8 + 65 * thumb + rng.normal(0, 14, count))
    abduction[:, THUMB] = np.radians(rng.normal(2, 12, count))
    return JointAngles(
        flexion.clip(FLEXION_LOW, FLEXION_HIGH),
        abduction.clip(ABDUCTION_LOW, ABDUCTION_HIGH),
    )


def _finger_curls(rng: np.random.Generator, count: int) -> np.ndarray:
    """How closed index, middle, ring and little finger are: ``(N, 4)``, 0 to 1."""
    whole = rng.beta(0.9, 1.1, (count, 1))
    # neighbours are pulled along
    steps = rng.normal(0, 0.13, (count, 4)).cumsum(1)
    together = whole + steps - steps.mean(1, keepdims=True)
    apart = np.where(
        rng.random((count, 4)) < 0.5,
        rng.uniform(0, 0.25, (count, 4)),
        rng.uniform(0.6, 1, (count, 4)),
    )
    # a bent finger takes its neighbours a little way along
    beside = np.pad(apart, ((0, 0), (1, 1)), mode='edge')
    apart = 0.76 * apart + 0.12 * (beside[:, :-2] + beside[:, 2:])
    single = rng.random((count, 1)) < 0.3
    return np.clip(np.where(single, apart, together), 0, 1)


def rest_angles() -> JointAngles:
    """The relaxed hand, bent a little; ``hands_mean`` of the free hand."""
    flexion = np.zeros((1, NUM_JOINTS))
    for mcp in FINGERS.values():
        flexion[:, mcp : mcp + 3] = np.radians([18, 28, 16])
    flexion[:, THUMB:] = np.radians([0, 12, 15])
    return JointAngles(flexion, np.zeros((1, NUM_JOINTS)))


def joint_rotations(frames: Tensor, angles: JointAngles) -> Tensor:
    """Rotation of each joint in its parent's frame.

    Args:
        frames: ``(16, 3, 3)`` anatomical axes, ``HandModel.joint_frames``.
        angles: Angles of N poses.

    Returns:
        ``(N, 16, 3, 3)``; the wrist's is the identity. A joint is bent, then
        turned sideways.
    """
    flexion, abduction = (torch.from_numpy(a).to(frames) for a in angles)
    bend = axis_angle_to_matrix(flexion[..., None] * frames[:, :, 0])
    turn = axis_angle_to_matrix(abduction[..., None] * frames[:, :, 1])
    return turn @ bend


def anatomical_frames(model: HandModel) -> Tensor:
    """The model's ``joint_frames (16, 3, 3)``.

    Raises:
        ValueError: The hand has other joints than MANO's 16, or no frames.
    """
    if model.num_joints != NUM_JOINTS or model.joint_frames is None:
        raise ValueError(
            f'poses need a hand of {NUM_JOINTS} joints with joint_frames, got '
            f'{model.num_joints} joints and joint_frames '
            f'{"missing" if model.joint_frames is None else "present"}'
        )
    return model.joint_frames


class PosePrior:
    """Draws poses of a hand whose fingers do not run through each other.

    Args:
        model: A hand of 16 joints in MANO's order with ``joint_frames`` and
            ``tips``.

    Raises:
        ValueError: The model is another.
    """

    def __init__(self, model: HandModel) -> None:
        self.frames = anatomical_frames(model)
        if len(model.tips) != 5:
            raise ValueError(f'poses need 5 tips, got {len(model.tips)}')
        self.model = model
        self.bones = _bones(model)
        self.radius = _bone_radii(model, self.bones)
        self.far = _far_apart(self.bones)

    def sample(self, rng: np.random.Generator, betas: Tensor) -> Tensor:
        """Draws one pose.

        Args:
            rng: Source of randomness.
            betas: ``(1, S)`` the hand's shape, which decides what collides.

        Returns:
            ``(16, 3, 3)`` rotations, the wrist's being the identity.
        """
        while True:
            rotations = joint_rotations(self.frames, sample_angles(rng, _CANDIDATES))
            free = np.flatnonzero(self.overlap(rotations, betas) <= _OVERLAP)
            if free.size:
                return rotations[free[0]]

    def overlap(self, rotations: Tensor, betas: Tensor) -> np.ndarray:
        """How deep bones' flesh runs into that of others: ``(N,)``, metres.

        Args:
            rotations: ``(N, 16, 3, 3)``.
            betas: ``(1, S)``.
        """
        count = len(rotations)
        vertices, rest = shape_hand(self.model, 1, betas)
        turned, joints = forward_kinematics(
            rotations, rest.expand(count, -1, -1), self.model.parents
        )
        last = [bone.joint for bone in self.bones if bone.tip]
        out = vertices[:, list(self.model.tips)] - rest[:, last]
        tips = joints[:, last] + (turned[:, last] @ out[..., None]).squeeze(-1)
        start, end = [], []
        for bone in self.bones:
            start.append(joints[:, bone.joint])
            end.append(tips[:, bone.finger] if bone.tip else joints[:, bone.child])
        ends = torch.stack([torch.stack(start, 1), torch.stack(end, 1)], 2)
        along = torch.linspace(0.1, 0.9, _BONE_POINTS).to(ends)
        places = (
            ends[:, :, :1] * (1 - along)[:, None] + ends[:, :, 1:] * along[:, None]
        ).flatten(1, 2)
        gap = torch.cdist(places, places).numpy()
        radius = self.radius.repeat(_BONE_POINTS)
        depth = radius[:, None] + radius - gap
        far = self.far.repeat(_BONE_POINTS, 0).repeat(_BONE_POINTS, 1)
        return np.where(far, depth, -np.inf).max((1, 2))


class _Bone(NamedTuple):
    joint: int
    child: int
    finger: int  # thumb 0 to little finger 4
    palm: bool
    tip: bool


def _bones(model: HandModel) -> list[_Bone]:
    bones = []
    firsts = (THUMB, *(FINGERS[name] for name in NEIGHBOURS))
    for finger, first in enumerate(firsts):
        if first != THUMB:
            bones.append(_Bone(0, first, finger, True, False))
        bones += [_Bone(j, j + 1, finger, False, False) for j in (first, first + 1)]
        bones.append(_Bone(first + 2, -1, finger, False, True))
    return bones


def _bone_radii(model: HandModel, bones: list[_Bone]) -> np.ndarray:
    """Radius of the flesh around each bone, metres."""
    vertices, joints = model.v_template.numpy(), model.joints.numpy()
    owner = model.weights.numpy().argmax(1)
    radii = []
    for bone in bones:
        if bone.palm:
            radii.append(0.009)
            continue
        end = vertices[model.tips[bone.finger]] if bone.tip else joints[bone.child]
        axis = (end - joints[bone.joint]) / np.linalg.norm(end - joints[bone.joint])
        out = vertices[owner == bone.joint] - joints[bone.joint]
        out = out - (out @ axis)[:, None] * axis
        radii.append(float(np.median(np.linalg.norm(out, axis=1))))
    return np.array(radii)


def _far_apart(bones: list[_Bone]) -> np.ndarray:
    """Pairs of bones that must not meet: not of one finger, nor both of the palm.

    The two bones nearest to the palm grow out of it.
    """
    far = np.ones((len(bones), len(bones)), bool)
    for i, a in enumerate(bones):
        for j, b in enumerate(bones):
            if a.finger == b.finger:
                far[i, j] = a.palm != b.palm and (a.tip or b.tip)
            elif a.palm or b.palm:
                other = b if a.palm else a
                rooted = other.joint in (THUMB, *FINGERS.values())
                far[i, j] = not (a.palm and b.palm) and not rooted
            else:
                firsts = tuple(FINGERS.values())
                # knuckles stand side by side
                far[i, j] = not (a.joint in firsts and b.joint in firsts)
                far[i, j] &= not (a.joint == THUMB or b.joint == THUMB)
    return far
