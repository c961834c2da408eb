"""SS2D: the state-space operator on a grid of tokens."""

import math
from collections.abc import Callable, Sequence
from operator import index

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from mmssm.ops import ScanPaths

from .s6 import S6


class PathCache:
    """Makes the paths of a grid once per size and device.

    Blocks of one model share one cache, and with it the index on the device.

    Args:
        build: Makes the paths of a grid of ``(rows, columns)``.
    """

    def __init__(self, build: Callable[[int, int], ScanPaths]) -> None:
        self.build = build

    def __call__(self, rows: int, columns: int, device: torch.device) -> ScanPaths:
        """The paths of a grid of ``rows`` x ``columns`` tokens on a device."""
        # `index`: a compiler's symbol becomes the number that it stands for.
        return getattr(self, self._make(index(rows), index(columns), device))

    # Validation reads values, so a compiler is to run this and not to trace it. What
    # it then finds are attributes: of a dict it would know the keys of the start.
    @torch.compiler.assume_constant_result
    def _make(self, rows: int, columns: int, device: torch.device) -> str:
        """Name of the attribute that holds the paths of a size."""
        place = str(device).replace(':', '_')
        name = f'_of_{rows}x{columns}_{place}'
        if name not in self.__dict__:
            # On the CPU even where the model is not, for the same reason, and not
            # as one of the tensors without values that an export traces with.
            with _disable_current_modes(), torch.device('cpu'):
                setattr(self, name, self.build(rows, columns).to(device))
        return name

    def __deepcopy__(self, memo: dict) -> 'PathCache':
        # A copied model (EMA) has the same grids: sharing is right and cheap.
        return self

    def __getstate__(self) -> dict:
        return {'build': self.build}


class SS2D(nn.Module):
    """State-space operator on a grid: project, convolve, mix, scan, gate.

    One class serves the whole family of cross-scan models; what differs
    between them is handed in as parts.

    ``in_proj`` (to the inner width, twice with a gate) -> ``conv`` -> SiLU ->
    ``mix`` -> S6 along ``paths`` -> LayerNorm -> times SiLU(gate) ->
    ``out_proj``. Both projections are without bias.

    Args:
        embed_dims: Number of channels ``C`` in and out.
        paths: Gives the ``ScanPaths`` of ``(rows, columns, device)``.
        num_paths: Number of paths ``K`` that the layer has weights for.
        used_paths: Which of those paths are scanned (see `S6`). Default: all.
        conv: Spatial mixing before the scan: a module from
            ``(N, E, rows, columns)`` to the same. Default: none.
        mix: What the paths read: a callable from ``(N, rows, columns, E)`` to
            a tuple of such tensors, one per source that the paths name.
            Default: the features themselves, as the only source.
        gate: Whether a gate branch multiplies the result.
        ssm_ratio: Inner width over ``embed_dims``.
        d_state: Number of states per channel.
        dt_rank: Rank of the step-size projection. Default: ``embed_dims / 16``,
            rounded up.

    Source:
        Liu et al., "VMamba: Visual State Space Model" (NeurIPS 2024).
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        paths: Callable[[int, int, torch.device], ScanPaths],
        num_paths: int = 4,
        used_paths: Sequence[int] | None = None,
        conv: nn.Module | None = None,
        mix: Callable[[Tensor], Sequence[Tensor]] | None = None,
        gate: bool = True,
        ssm_ratio: float = 2.0,
        d_state: int = 16,
        dt_rank: int | None = None,
    ) -> None:
        super().__init__()
        inner = int(ssm_ratio * embed_dims)
        self.gate = gate
        self.in_proj = nn.Linear(embed_dims, inner * (2 if gate else 1), bias=False)
        self.conv = conv if conv is not None else nn.Identity()
        self.mix = mix
        self.paths = paths
        self.s6 = S6(
            inner,
            num_paths,
            d_state=d_state,
            dt_rank=dt_rank or math.ceil(embed_dims / 16),
            used=used_paths,
        )
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, embed_dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the operator.

        Args:
            x: Features ``(N, rows, columns, C)``.

        Returns:
            Features of the same shape.
        """
        rows, columns = x.shape[1:3]
        x = self.in_proj(x)
        if self.gate:
            x, z = x.chunk(2, dim=-1)
        x = F.silu(self.conv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        sources = (x,) if self.mix is None else self.mix(x)
        y = self.s6(
            [source.flatten(1, 2) for source in sources],
            self.paths(rows, columns, x.device),
        )
        y = self.out_norm(y).unflatten(1, (rows, columns))
        if self.gate:
            y = y * F.silu(z)
        return self.out_proj(y)
