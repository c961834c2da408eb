"""Linear blend skinning: a hand's mesh and joints from rotations and shape.

Batched and differentiable functions of tensors, for any :class:`HandModel`.
The formulas are MANO's (Romero et al., "Embodied Hands", 2017); nothing is
recentred, so the root joint stays where the shape puts it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmssm.geometry.hand_model import HandModel


class PosedHand(NamedTuple):
    """A batch of posed hands, metres.

    Attributes:
        vertices: ``(N, V, 3)``.
        joints: ``(N, J, 3)`` in the model's order, fingertips not among them.
        rotations: ``(N, J, 3, 3)`` of each joint in the hand's frame.
    """

    vertices: Tensor
    joints: Tensor
    rotations: Tensor


def pose_hand(
    model: HandModel, rotations: Tensor, betas: Tensor | None = None
) -> PosedHand:
    """Poses a hand.

    Args:
        model: The model; its dtype and device are those of the arguments.
        rotations: ``(N, J, 3, 3)`` rotation of each joint in its parent's
            frame, the root's in the world. ``hands_mean`` is not added.
        betas: ``(N, S)`` or fewer shape coefficients; default all 0.

    Returns:
        Vertices and joints.

    Raises:
        ValueError: Shapes do not fit the model.
    """
    joints = model.num_joints
    if rotations.ndim != 4 or rotations.shape[1:] != (joints, 3, 3):
        raise ValueError(
            f'rotations must have shape (N, {joints}, 3, 3), got '
            f'{tuple(rotations.shape)}'
        )
    # shape[0], not len: an exporter keeps it a symbol
    vertices, rest = shape_hand(model, rotations.shape[0], betas)
    feature = pose_feature(rotations)
    offsets = feature @ model.posedirs.flatten(0, 1).T
    vertices = vertices + offsets.unflatten(-1, (-1, 3))
    turned, posed = forward_kinematics(rotations, rest, model.parents)
    return PosedHand(skin(vertices, model.weights, turned, rest, posed), posed, turned)


def shape_hand(
    model: HandModel, count: int, betas: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Vertices ``(N, V, 3)`` and joints ``(N, J, 3)`` at rest.

    Args:
        model: The model.
        count: N.
        betas: ``(N, S)`` or fewer shape coefficients; default all 0.

    Raises:
        ValueError: ``betas`` has another shape, or more shapes than the model.
    """
    if betas is None:
        return (
            model.v_template.expand(count, -1, -1),
            model.joints.expand(count, -1, -1),
        )
    fits = betas.ndim == 2 and betas.shape[0] == count
    if not fits or betas.shape[1] > model.num_shapes:
        raise ValueError(
            f'betas must have shape ({count}, at most {model.num_shapes}), got '
            f'{tuple(betas.shape)}'
        )
    shapes = betas.shape[1]
    return (
        model.v_template + _combine(model.shapedirs[..., :shapes], betas),
        model.joints + _combine(model.joint_shapedirs[..., :shapes], betas),
    )


def _combine(directions: Tensor, coefficients: Tensor) -> Tensor:
    flat = coefficients @ directions.flatten(0, 1).T
    return flat.unflatten(-1, (-1, 3))


def pose_feature(rotations: Tensor) -> Tensor:
    """What pose blend shapes are linear in.

    Args:
        rotations: ``(N, J, 3, 3)``.

    Returns:
        ``(N, 9 (J - 1))``: R - I of every joint after the root, row by row.
    """
    eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return (rotations[:, 1:] - eye).flatten(1)


def forward_kinematics(
    rotations: Tensor, joints: Tensor, parents: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Follows the skeleton from its root.

    Args:
        rotations: ``(N, J, 3, 3)`` rotation of each joint in its parent's frame.
        joints: ``(N, J, 3)`` joints at rest, metres.
        parents: Parent of each joint, -1 for the root, parents first.

    Returns:
        Rotation ``(N, J, 3, 3)`` and position ``(N, J, 3)`` of each joint in the
        world. The root stays at its place.
    """
    turned = [rotations[:, 0]]
    posed = [joints[:, 0]]
    for joint, parent in enumerate(parents[1:], start=1):
        bone = (joints[:, joint] - joints[:, parent]).unsqueeze(-1)
        posed.append(posed[parent] + (turned[parent] @ bone).squeeze(-1))
        turned.append(turned[parent] @ rotations[:, joint])
    return torch.stack(turned, 1), torch.stack(posed, 1)


def skin(
    vertices: Tensor, weights: Tensor, rotations: Tensor, rest: Tensor, posed: Tensor
) -> Tensor:
    """Moves vertices with their joints: v_i <- sum_j w_ij (R_j (v_i - J_j) + t_j).

    Args:
        vertices: ``(N, V, 3)`` at rest, blend shapes added, metres.
        weights: ``(V, J)``, rows sum to 1.
        rotations: ``(N, J, 3, 3)`` of each joint in the world.
        rest: ``(N, J, 3)`` joints J_j at rest.
        posed: ``(N, J, 3)`` joints t_j in the world.

    Returns:
        ``(N, V, 3)``.
    """
    shift = posed - (rotations @ rest.unsqueeze(-1)).squeeze(-1)
    moves = torch.cat([rotations, shift.unsqueeze(-1)], -1)
    blended = (weights @ moves.flatten(2)).unflatten(-1, (3, 4))
    turned = blended[..., :3] @ vertices.unsqueeze(-1)
    return turned.squeeze(-1) + blended[..., 3]
