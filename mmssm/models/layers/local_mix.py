"""PoseMamba's local order."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

H36M_LOCAL_ORDER = (0, 0, 1, 2, 3, 0, 4, 5, 6, 8, 11, 12, 13, 8, 14, 15, 16)
"""Limb by limb on the Human3.6M joints: pelvis, then the chains from the pelvis
down the right and the left leg and from the thorax down the left and the right
arm. Spine, neck and head do not occur."""


class LocalMix(nn.Module):
    """PoseMamba's two scan inputs: global plus local order, and the features.

    The first, read by the spatial paths, is ``x + x[..., local_order, :]``;
    the second, read by the temporal paths, is ``x``.

    Args:
        num_joints: Number of joints ``J``.
        local_order: For each joint's place, the joint that is added to it.
            Default: the paper's, for the 17 Human3.6M joints; any other number
            of joints must bring its own.
        grad: ``'full'`` for the exact gradient; ``'identity'`` leaves out the
            part through the reordered term, as the authors' released training
            code does. The forward pass is the same.

    Raises:
        ValueError: If ``local_order`` is missing or does not fit
            ``num_joints``, or on another ``grad``.

    Source:
        Huang et al., "PoseMamba", Fig. 3 (c).
    """

    local_order: Tensor

    def __init__(
        self,
        num_joints: int,
        local_order: Sequence[int] | None,
        grad: Literal['full', 'identity'],
    ) -> None:
        super().__init__()
        if grad not in ('full', 'identity'):
            raise ValueError(f"local_grad must be 'full' or 'identity', got {grad!r}")
        local_order = _check_local_order(local_order, num_joints)
        self.grad = grad
        self.register_buffer('local_order', torch.tensor(local_order), persistent=False)

    @property
    def sources(self) -> tuple[int, int]:
        """Which source the spatial and which the temporal paths read."""
        return 0, 1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Makes the two inputs of features ``(N, T, J, E)``."""
        reordered = x.detach() if self.grad == 'identity' else x
        return x + reordered.index_select(2, self.local_order), x


def _check_local_order(
    local_order: Sequence[int] | None, num_joints: int
) -> Sequence[int]:
    if local_order is None:
        if num_joints != len(H36M_LOCAL_ORDER):
            raise ValueError(
                f'a skeleton of {num_joints} joints needs its own local_order: for '
                "each place, the joint added to it (the default is Human3.6M's, "
                f'{list(H36M_LOCAL_ORDER)})'
            )
        return H36M_LOCAL_ORDER
    if len(local_order) != num_joints or not all(
        0 <= joint < num_joints for joint in local_order
    ):
        raise ValueError(
            f'local_order must hold {num_joints} joint indices from 0 to '
            f'{num_joints - 1}, got {list(local_order)}'
        )
    return local_order
