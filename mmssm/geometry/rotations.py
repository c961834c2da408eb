"""Rotations as hand models write them, over the library ``roma``.

``roma`` does the mathematics (batched, differentiable, with a gradient at the
identity); here are the names and layouts of hand models.
"""

import roma
import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices ``(..., 3, 3)`` of vectors ``(..., 3)``, radians.

    A vector's direction is the axis, its length the angle.
    """
    return roma.rotvec_to_rotmat(axis_angle)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Vectors ``(..., 3)`` of rotation matrices ``(..., 3, 3)``, radians.

    Angles are in [0, pi].
    """
    return roma.rotmat_to_rotvec(matrix)


def rotation_6d_to_matrix(six: Tensor) -> Tensor:
    """Rotation matrices of six numbers, as HaMeR's networks predict them.

    The first three numbers are the first column before normalisation, the last
    three the second (Zhou et al., "On the Continuity of Rotation
    Representations in Neural Networks"; SPIN interleaves the two instead).

    Args:
        six: ``(..., 6)``. Collinear halves have no rotation.

    Returns:
        ``(..., 3, 3)``.
    """
    columns = torch.stack([six[..., :3], six[..., 3:]], -1)
    return roma.special_gramschmidt(columns, epsilon=torch.finfo(six.dtype).tiny)


def mean_rotation(matrices: Tensor, dim: int = 0) -> Tensor:
    """The rotation next to several ones, in the sense of least squares.

    It has the least sum of squared Frobenius distances to them (the chordal mean on
    SO(3)).

    Args:
        matrices: ``(..., 3, 3)`` rotation matrices.
        dim: The axis to average over, one of the leading ones, counted from the
            front.

    Returns:
        Rotation matrices, without that axis.
    """
    return roma.special_procrustes(matrices.mean(dim))
