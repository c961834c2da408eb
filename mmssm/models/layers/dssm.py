"""DSSM: the deformable state-space layer."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmssm.ops import ScanPaths, deform_scan

from .row_scan import RowScan


class DSSM(RowScan):
    """Selective scan over a map whose input term reads samples around each place.

    At each place ``p`` of the sweep, features of ``K`` bilinear samples at
    ``p + a_k + o_k`` are summed with weights ``b_k`` and drive the state,
    ``h <- exp(delta A) h + delta B sum_k b_k x(p + a_k + o_k)``. The anchors
    ``a_k`` are the places of a square window; offsets and weights are linear in
    ``x(p)``, as are ``delta``, ``B`` and ``C``, and ``y = C h + D x(p)``.

    At the start all offsets are 0 and all weights but that of the middle anchor,
    which is 1: the layer begins as the plain scan. Their projection is kept out
    of weight decay.

    Args:
        channels: Number of channels ``E``.
        num_anchors: Number of anchors ``K``, an odd number squared.
        offset_groups: Number of groups of neighbouring channels that each have
            their own offsets and weights.
        paths, d_state, dt_rank: As in `RowScan`.

    Raises:
        ValueError: If ``num_anchors`` is no odd number squared, or the groups do
            not divide the channels.

    Source:
        "DF-Mamba", Eq. 6. The paper leaves open how weights are normalised (here
        not at all), how the projections begin, and the groups (one).
    """

    anchors: Tensor

    def __init__(
        self,
        channels: int,
        *,
        paths: Callable[[int, int, torch.device], ScanPaths],
        num_anchors: int = 9,
        offset_groups: int = 1,
        d_state: int = 16,
        dt_rank: int = 4,
    ) -> None:
        super().__init__(channels, paths=paths, d_state=d_state, dt_rank=dt_rank)
        side = math.isqrt(max(num_anchors, 0))
        if side * side != num_anchors or side % 2 == 0:
            raise ValueError(
                'num_anchors must be an odd number squared (1, 9, 25, ...), got '
                f'{num_anchors}: the anchors are a square window around a place'
            )
        if offset_groups < 1 or channels % offset_groups:
            raise ValueError(
                f'offset_groups must divide the {channels} channels, got '
                f'{offset_groups}'
            )
        self.offset_groups = offset_groups
        sides = torch.arange(side, dtype=torch.float32) - side // 2
        anchors = torch.cartesian_prod(sides, sides).view(-1, 2)
        self.register_buffer('anchors', anchors, persistent=False)
        width = 3 * offset_groups * num_anchors
        self.sample_weight = nn.Parameter(torch.empty(width, channels))
        self.sample_bias = nn.Parameter(torch.empty(width))
        for parameter in (self.sample_weight, self.sample_bias):
            parameter._no_weight_decay = True  # type: ignore[attr-defined]
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Puts the samples back to where the layer is the plain scan."""
        self.sample_weight.zero_()
        self.sample_bias.zero_()
        weights = self.sample_bias.chunk(3)[2].view(self.offset_groups, -1)
        weights[:, len(self.anchors) // 2] = 1.0

    def samples(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts where each token reads the map, and with what weights.

        Args:
            tokens: The map, row by row: ``(N, L, E)``.

        Returns:
            Offsets from the anchors (rows, columns) in pixels of the map,
            ``(N, L, G, K, 2)``, and weights ``(N, L, G, K)``.
        """
        shape = self.offset_groups, len(self.anchors)
        predicted = F.linear(tokens, self.sample_weight, self.sample_bias)
        offset, weight = predicted.tensor_split([2 * math.prod(shape)], dim=-1)
        return offset.unflatten(2, (*shape, 2)), weight.unflatten(2, shape)

    def forward(self, x: Tensor) -> Tensor:
        """Scans maps ``(N, H, W, E)`` to the same shape."""
        size = (x.shape[1], x.shape[2])
        tokens = x.flatten(1, 2)
        paths = self.paths(*size, x.device)
        offset, weight = self.samples(tokens)
        y = deform_scan(
            tokens,
            offset,
            weight,
            self.anchors,
            size,
            paths=paths,
            **self.s6.scan_arguments([tokens], paths),
        )
        return y.unflatten(1, size)

    def extra_repr(self) -> str:
        """Shows the sizes in ``print(model)``."""
        return f'num_anchors={len(self.anchors)}, offset_groups={self.offset_groups}'
