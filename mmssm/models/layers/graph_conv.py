"""Convolution over the joints of a skeleton."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GraphConv(nn.Module):
    """Graph convolution on skeletons: a joint and, apart from it, its neighbours.

    ``y = x U + A x V + b`` with ``A`` the adjacency of the skeleton, normalised by
    the roots of both degrees.

    Args:
        channels: Number of channels ``E``, in and out.
        num_joints: Number of joints ``J``.
        bones: Pairs of neighbouring joints.

    Raises:
        ValueError: If a bone names a joint that there is not.

    Source:
        Kipf and Welling, "Semi-Supervised Classification with Graph
        Convolutional Networks" (ICLR 2017), with weights of its own for the
        joint itself.
    """

    adjacency: Tensor

    def __init__(
        self, channels: int, num_joints: int, bones: Sequence[tuple[int, int]]
    ) -> None:
        super().__init__()
        self.own = nn.Linear(channels, channels)
        self.neighbours = nn.Linear(channels, channels, bias=False)
        adjacency = _normalised_adjacency(num_joints, bones)
        self.register_buffer('adjacency', adjacency, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves features ``(N, E, T, J)`` to the same shape."""
        x = x.permute(0, 2, 3, 1)
        y = self.own(x) + torch.matmul(self.adjacency, self.neighbours(x))
        return y.permute(0, 3, 1, 2)


def _normalised_adjacency(num_joints: int, bones: Sequence[tuple[int, int]]) -> Tensor:
    adjacency = torch.zeros(num_joints, num_joints)
    for a, b in bones:
        if not (0 <= a < num_joints and 0 <= b < num_joints):
            raise ValueError(
                f'the bone ({a}, {b}) names a joint that is not among the '
                f'{num_joints} of the skeleton'
            )
        adjacency[a, b] = adjacency[b, a] = 1
    degree = adjacency.sum(1)
    scale = torch.where(degree > 0, degree, 1.0).rsqrt()
    return scale[:, None] * adjacency * scale
