"""One sweep of a selective scan over the rows of a map."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mmssm.ops import ScanPaths

from .s6 import S6


class RowScan(nn.Module):
    """Selective scan over a map, row by row from its first place to its last.

    Args:
        channels: Number of channels ``E``.
        paths: Gives the one path of ``(rows, columns, device)``.
        d_state: Number of states per channel.
        dt_rank: Rank of the step-size projection.

    Source:
        "DF-Mamba", Eqs. 2 and 4: the sweep scan.
    """

    def __init__(
        self,
        channels: int,
        *,
        paths: Callable[[int, int, torch.device], ScanPaths],
        d_state: int = 16,
        dt_rank: int = 4,
    ) -> None:
        super().__init__()
        self.paths = paths
        self.s6 = S6(channels, 1, d_state=d_state, dt_rank=dt_rank)

    def forward(self, x: Tensor) -> Tensor:
        """Scans maps ``(N, H, W, E)`` to the same shape."""
        rows, columns = x.shape[1:3]
        y = self.s6([x.flatten(1, 2)], self.paths(rows, columns, x.device))
        return y.unflatten(1, (rows, columns))
