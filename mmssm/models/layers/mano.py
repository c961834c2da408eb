"""MANO as a layer: a hand's mesh and joints from rotations and shape."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmssm.geometry.hand_model import HandModel, free_hand_file, load_hand_model
from mmssm.geometry.rotations import axis_angle_to_matrix
from mmssm.geometry.skinning import pose_hand
from mmssm.structures.hand import FINGERTIP_VERTICES, chirality, permutation

from .autocast import without_autocast

MANO_VERTICES = 778
"""Vertices of MANO's mesh, which the names of fingertips refer to."""

MANO_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
"""MANO's skeleton: wrist; index, middle, little and ring finger; thumb."""

_FLAT = 0.02
"""A hand whose fingers bend less than this does not tell its side."""

_FINGERS_POINT = 0.5
"""Cosine between palm and finger that any hand at rest exceeds."""


class HandMesh(NamedTuple):
    """A batch of posed hands, metres.

    Attributes:
        vertices: ``(N, V, 3)``.
        joints: ``(N, J + tips, 3)``, by default 21 in the order ``'op21'``.
    """

    vertices: Tensor
    joints: Tensor


class MANO(nn.Module):
    """Poses a hand model of MANO's format; nothing in it is learnt.

    Linear blend skinning after Romero et al., "Embodied Hands" (2017), as
    :mod:`mmssm.geometry.skinning` writes it out, with fingertips among the joints.
    Nothing is recentred: the wrist is where the shape puts it, near but not at the
    origin. Any number of vertices, joints and shapes will do.

    The model is not part of the state dict, so no checkpoint carries it; MANO's
    licence forbids to pass it on. Half precision is lifted to single.

    Args:
        model: MANO's ``.pkl``, an ``.npz`` with its keys (both read without running
            anything, see :func:`mmssm.geometry.hand_model.load_hand_model`), or None
            for the free hand that ships. The free hand is **not** MANO: parameters
            of one mean nothing to the other.
        tips: Vertices that stand for the fingertips, thumb to little finger:
            numbers, or a key of :data:`mmssm.structures.hand.FINGERTIP_VERTICES`.
            The names are of MANO's mesh; a model with another mesh must name its
            own, which are then used whatever the name.
        joint_order: ``'op21'``, or ``'mano'`` for the model's own order, tips last.
        flat_hand_mean: Whether an axis-angle pose of 0 is the flat hand; otherwise
            it is the model's mean pose, which :meth:`to_rotations` adds. Rotation
            matrices are never changed.
        side: Hand that the model must be of; see :func:`hand_side`.
        mirror_left_shapes: Needed with ``side='left'``: whether to negate x of the
            shape directions. In the released ``MANO_LEFT`` it has the wrong sign, so
            a shape fitted to both hands, as in InterHand2.6M, needs True; DexYCB's
            and H2O3D's left hands were fitted with the file as it is and need
            False.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no hand model, or of the other hand; or arguments do
            not fit it.
        pickle.UnpicklingError: A ``.pkl`` asks for what is not data.

    Attributes:
        num_joints: J, rotations in a pose, 16 for a hand.
        num_vertices: V.
        num_betas: S, shape coefficients.
        faces: ``(F, 3)`` int64, counter-clockwise from outside.
        hands_mean: ``(J - 1, 3)`` mean pose, axis-angle, radians.
    """

    v_template: Tensor
    faces: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    rest_joints: Tensor
    joint_shapedirs: Tensor
    weights: Tensor
    hands_mean: Tensor

    def __init__(
        self,
        model: str | Path | None = None,
        tips: str | Sequence[int] = 'smplx',
        joint_order: Literal['op21', 'mano'] = 'op21',
        flat_hand_mean: bool = True,
        side: Literal['right', 'left'] = 'right',
        mirror_left_shapes: bool | None = None,
    ) -> None:
        super().__init__()
        path = free_hand_file() if model is None else str(model)
        device = torch.get_default_device()
        with torch.device('cpu'):  # there can be no looking at a file elsewhere
            hand = load_hand_model(path)
            _check_side(hand, path, side, mirror_left_shapes)
        self.flat_hand_mean = flat_hand_mean
        self.joint_order = joint_order
        self.tips = _fingertips(hand, path, tips)
        self.parents = hand.parents
        self._order = _joint_order(hand, path, joint_order, len(self.tips))
        self.num_vertices = hand.num_vertices
        self.num_joints = hand.num_joints
        self.num_betas = hand.num_shapes
        flip = hand.v_template.new_tensor([-1 if mirror_left_shapes else 1, 1, 1])
        buffers = {
            'v_template': hand.v_template,
            'faces': hand.faces,
            'shapedirs': hand.shapedirs * flip[:, None],
            'posedirs': hand.posedirs,
            'rest_joints': hand.joints,
            'joint_shapedirs': hand.joint_shapedirs * flip[:, None],
            'weights': hand.weights,
            'hands_mean': hand.hands_mean,
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.to(device), persistent=False)

    def forward(
        self, global_orient: Tensor, hand_pose: Tensor, betas: Tensor | None = None
    ) -> HandMesh:
        """Poses hands; differentiable.

        Args:
            global_orient: ``(N, 1, 3, 3)`` rotation of the wrist.
            hand_pose: ``(N, J - 1, 3, 3)`` rotation of each other joint in its
                parent's frame, in the model's order whatever ``joint_order`` is.
            betas: ``(N, S)`` or fewer shape coefficients; default all 0.

        Returns:
            Vertices and joints, in the widest of the arguments' precision, single
            precision and the layer's.

        Raises:
            ValueError: Shapes do not fit the model.
        """
        expected = (self.num_joints - 1, 3, 3)
        if (
            global_orient.shape[1:] != (1, 3, 3)
            or hand_pose.shape[1:] != expected
            or global_orient.shape[0] != hand_pose.shape[0]
        ):
            raise ValueError(
                'global_orient and hand_pose must be rotation matrices of shapes '
                f'(N, 1, 3, 3) and (N, {", ".join(map(str, expected))}), got '
                f'{tuple(global_orient.shape)} and {tuple(hand_pose.shape)}'
            )
        dtype = torch.promote_types(self.v_template.dtype, torch.float32)
        for given in (global_orient, hand_pose, betas):
            if given is not None:
                dtype = torch.promote_types(dtype, given.dtype)
        with without_autocast(global_orient.device.type):
            rotations = torch.cat([global_orient.to(dtype), hand_pose.to(dtype)], 1)
            hand = pose_hand(
                self._model(dtype),
                rotations,
                None if betas is None else betas.to(dtype),
            )
        tips = hand.vertices[:, list(self.tips)]
        joints = torch.cat([hand.joints, tips], 1)[:, list(self._order)]
        return HandMesh(hand.vertices, joints)

    def to_rotations(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Turns a stored pose into what :meth:`forward` takes.

        Args:
            pose: ``(N, 3 J)`` or ``(N, J, 3)`` axis-angle, radians, the wrist first,
                joints in the model's order. With ``flat_hand_mean=False`` the mean
                pose is added to the joints after the wrist.

        Returns:
            ``global_orient (N, 1, 3, 3)`` and ``hand_pose (N, J - 1, 3, 3)``.

        Raises:
            ValueError: The pose has another shape.
        """
        joints = self.num_joints
        if pose.shape[1:] not in ((3 * joints,), (joints, 3)):
            raise ValueError(
                f'pose must have shape (N, {3 * joints}) or (N, {joints}, 3), got '
                f'{tuple(pose.shape)}'
            )
        turns = pose.reshape(-1, joints, 3)
        fingers = turns[:, 1:]
        if not self.flat_hand_mean:
            fingers = fingers + self.hands_mean.to(turns.dtype)
        return axis_angle_to_matrix(turns[:, :1]), axis_angle_to_matrix(fingers)

    def extra_repr(self) -> str:
        """What the printed module shows."""
        return (
            f'vertices={self.num_vertices}, joints={self.num_joints}, '
            f'betas={self.num_betas}, tips={self.tips}, '
            f'joint_order={self.joint_order!r}, flat_hand_mean={self.flat_hand_mean}'
        )

    def _model(self, dtype: torch.dtype) -> HandModel:
        return HandModel(
            v_template=self.v_template.to(dtype),
            faces=self.faces,
            shapedirs=self.shapedirs.to(dtype),
            posedirs=self.posedirs.to(dtype),
            joints=self.rest_joints.to(dtype),
            joint_shapedirs=self.joint_shapedirs.to(dtype),
            weights=self.weights.to(dtype),
            parents=self.parents,
            hands_mean=self.hands_mean,
            hands_components=self.hands_mean.new_zeros(0, self.hands_mean.numel()),
        )


def hand_side(model: HandModel) -> Literal['right', 'left'] | None:
    """Which hand a model is of, by how its mean pose bends the fingers.

    Args:
        model: Any model.

    Returns:
        The side; None where it cannot be told: the skeleton is not MANO's, the
        fingers do not point away from the wrist, or the mean pose is flat.
    """
    if model.parents != MANO_PARENTS or not model.hands_mean.any():
        return None
    rest = model.to('cpu', torch.float32)
    turns = torch.cat([torch.zeros(1, 3), rest.hands_mean])
    bent = pose_hand(rest, axis_angle_to_matrix(turns)[None]).joints[0]
    joints = rest.joints
    bases = torch.tensor([1, 4, 7, 10])  # index, middle, little, ring finger
    palm = joints[bases] - joints[0]
    fingers = joints[bases + 1] - joints[bases]
    if (torch.cosine_similarity(palm, fingers) < _FINGERS_POINT).any():
        return None
    # tips do not matter: the last joints stand for them
    poses = torch.cat([bent, bent[[15, 3, 6, 12, 9]]])[list(permutation('mano'))]
    poses = poses.expand(4, -1, -1).clone()
    poses[:, 9], poses[:, 12] = bent[bases], bent[bases + 2]
    bend = float(np.median(chirality(poses.numpy())))
    if abs(bend) < _FLAT:
        return None
    return 'right' if bend > 0 else 'left'


def _check_side(
    hand: HandModel, path: str, side: str, mirror_left_shapes: bool | None
) -> None:
    if side not in ('right', 'left'):
        raise ValueError(f"side must be 'right' or 'left', got {side!r}")
    found = hand_side(hand)
    if found not in (None, side):
        raise ValueError(
            f'hand model {path} is of a {found} hand, expected a {side} one; give the '
            f"other file, or side='{found}'"
        )
    if side == 'left' and mirror_left_shapes is None:
        raise ValueError(
            "side='left' needs mirror_left_shapes: True to negate x of the shape "
            'directions, whose sign is wrong in the released MANO_LEFT (shapes shared '
            'with the right hand, InterHand2.6M), False to take them as they are '
            '(DexYCB, H2O3D)'
        )
    if side == 'right' and mirror_left_shapes is not None:
        raise ValueError("mirror_left_shapes is for side='left' alone")


def _fingertips(
    hand: HandModel, path: str, tips: str | Sequence[int]
) -> tuple[int, ...]:
    if not isinstance(tips, str):
        numbers = tuple(int(tip) for tip in tips)
        outside = [tip for tip in numbers if not 0 <= tip < hand.num_vertices]
        if outside:
            raise ValueError(
                f'tips must be vertices 0 to {hand.num_vertices - 1} of the hand '
                f'model {path}, got {outside}'
            )
        return numbers
    if tips not in FINGERTIP_VERTICES:
        raise ValueError(
            f'tips must be vertex numbers or one of {sorted(FINGERTIP_VERTICES)}, got '
            f'{tips!r}'
        )
    if hand.num_vertices == MANO_VERTICES:
        return FINGERTIP_VERTICES[tips]
    if not hand.tips:
        raise ValueError(
            f'tips={tips!r} are vertices of a mesh of {MANO_VERTICES}, the hand model '
            f'{path} has {hand.num_vertices} and names no tips; give their numbers'
        )
    return hand.tips


def _joint_order(
    hand: HandModel, path: str, joint_order: str, tips: int
) -> tuple[int, ...]:
    if joint_order == 'mano':
        return tuple(range(hand.num_joints + tips))
    if joint_order != 'op21':
        raise ValueError(f"joint_order must be 'op21' or 'mano', got {joint_order!r}")
    if hand.parents != MANO_PARENTS or tips != 5:
        raise ValueError(
            "joint_order='op21' needs MANO's skeleton of 16 joints and 5 tips; the "
            f'hand model {path} has {hand.num_joints} joints with the parents '
            f"{hand.parents} and {tips} tips; is it another model's file? "
            "joint_order='mano' keeps any order"
        )
    return permutation('mano')
