"""GSS: the graph-guided state-space block."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .node_graph_conv import NodeGraphConv


class GSSBlock(nn.Module):
    """Graph convolution on joint tokens, then blocks on them and a global token.

    The joints' tokens go through a graph convolution, batch norm and ReLU, without
    a residual; then all tokens, the global one last, are a map of one column for
    the blocks.

    Args:
        channels: Number of channels ``C``.
        blocks: Blocks from ``(N, rows, columns, C)`` to the same shape. None at
            all leaves the graph convolution.
        num_joints: Number of joints ``J``.
        bones: Pairs of neighbouring joints of the graph convolution; None leaves
            it out.
        order: In which order the blocks see the joints. Default: as they are
            numbered. The global token is the last in any case.

    Raises:
        ValueError: If ``order`` is no permutation of the joints.

    Source:
        "Hamba", Eqs. 6 to 8 and Algorithm 1.
    """

    order: Tensor | None
    places: Tensor | None

    def __init__(
        self,
        channels: int,
        blocks: Sequence[nn.Module],
        *,
        num_joints: int,
        bones: Sequence[tuple[int, int]] | None,
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.gcn: nn.Module | None = None
        if bones is not None:
            self.gcn = NodeGraphConv(channels, num_joints, bones)
            self.norm = nn.BatchNorm1d(channels)
        self.blocks = nn.ModuleList(blocks)
        seen = None if order is None else _checked(order, num_joints)
        self.register_buffer('order', seen, persistent=False)
        places = None if seen is None else seen.argsort()
        self.register_buffer('places', places, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens ``(N, J + 1, C)``, the global one last, to the same shape."""
        if self.gcn is not None:
            joints, whole = x[:, :-1], x[:, -1:]
            joints = self.norm(self.gcn(joints).flatten(0, 1)).view_as(joints).relu()
            x = torch.cat([joints, whole.to(joints.dtype)], 1)
        if self.order is not None:
            x = x[:, self.order]
        x = x[:, :, None]
        for block in self.blocks:
            x = block(x)
        x = x.squeeze(2)
        return x if self.places is None else x[:, self.places]


def _checked(order: Sequence[int], num_joints: int) -> Tensor:
    if sorted(order) != list(range(num_joints)):
        raise ValueError(
            f'scan_order must hold each of the joints 0 to {num_joints - 1} once, got '
            f'{list(order)}'
        )
    return torch.tensor([*order, num_joints])
