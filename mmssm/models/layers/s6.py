"""S6: the selective state-space layer."""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmssm.ops import ScanPaths, path_scan

DT_MIN, DT_MAX = 1e-3, 1e-1
"""Initial step sizes are log-uniform between these."""


class ScanArguments(TypedDict):
    """Arguments of `path_scan` by name: all tensors but the tokens."""

    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    dt_bias: Tensor
    dt_weight: Tensor


class S6(nn.Module):
    """Selective state-space layer over a set of paths.

    Each path ``k`` owns its projections and dynamics: from a token's features
    come ``[dt, B, C] = W_k x``, and the scan along the path is
    ``h <- exp(delta A) h + delta B x``, ``y = C h + D x`` with
    ``delta = softplus(W_dt dt + b)``; the outputs of all paths are summed
    token by token.

    The projections commute with any order of the tokens, so they are made in
    token order: one matrix product per source, with the weights of all paths
    that read it side by side. Nothing is permuted or repeated for the scan.

    Args:
        channels: Number of channels ``E``.
        num_paths: Number of paths ``K``.
        d_state: Number of states per channel ``N``.
        dt_rank: Rank ``R`` of the step-size projection.
        used: Which of the ``K`` paths are scanned, in the order of the steps;
            the weights of the others stay and do nothing. Default: all.

    Raises:
        ValueError: If ``used`` names a path twice, or one that there is not.

    Source:
        Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State
        Spaces", Algorithm 2; initial values as in its section 3.6.
    """

    def __init__(
        self,
        channels: int,
        num_paths: int,
        d_state: int = 16,
        dt_rank: int = 4,
        used: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.used = tuple(range(num_paths)) if used is None else tuple(used)
        if (
            not self.used
            or len(set(self.used)) < len(self.used)
            or not set(self.used) <= set(range(num_paths))
        ):
            raise ValueError(
                f'used must hold different numbers of paths from 0 to {num_paths - 1}, '
                f'got {self.used}'
            )
        self.d_state = d_state
        self.dt_rank = dt_rank
        width = dt_rank + 2 * d_state
        self.x_proj = nn.Parameter(torch.empty(num_paths, width, channels))
        self.dt_weight = nn.Parameter(torch.empty(num_paths, channels, dt_rank))
        self.dt_bias = nn.Parameter(torch.empty(num_paths, channels))
        self.A_log = nn.Parameter(torch.empty(num_paths, channels, d_state))
        self.D = nn.Parameter(torch.empty(num_paths, channels))
        for parameter in (self.A_log, self.D, self.dt_bias):
            parameter._no_weight_decay = True  # type: ignore[attr-defined]
        self.reset_parameters()

    @property
    def num_paths(self) -> int:
        """Number of paths ``K``."""
        return self.x_proj.shape[0]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the initial values anew."""
        bound = self.x_proj.shape[-1] ** -0.5
        self.x_proj.uniform_(-bound, bound)
        bound = self.dt_rank**-0.5
        self.dt_weight.uniform_(-bound, bound)
        dt = torch.empty_like(self.dt_bias)
        dt.uniform_(math.log(DT_MIN), math.log(DT_MAX)).exp_()
        # The inverse of softplus, written so that a small dt keeps its digits.
        self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))
        states = torch.arange(1, self.d_state + 1, dtype=torch.float32)
        self.A_log.copy_(states.log().expand_as(self.A_log))
        self.D.fill_(1.0)

    def forward(
        self,
        sources: Sequence[Tensor],
        paths: ScanPaths,
        initial_state: Tensor | None = None,
        return_last_state: bool = False,
    ) -> Any:
        """Scans the sources along the paths.

        Args:
            sources: Features ``(N, L, E)`` in token order, one tensor per
                source that the paths name.
            paths: The ``K`` paths.
            initial_state: States before the first step, as `path_scan` takes them.
                Default: zero.
            return_last_state: Whether to return the last states too.

        Returns:
            The sum over the paths, ``(N, L, E)``, in token order; with
            ``return_last_state`` also the last states, shaped as ``initial_state``.

        Raises:
            ValueError: If the number of paths is not the layer's.
        """
        return path_scan(
            tuple(sources[: paths.num_sources]),
            paths=paths,
            initial_state=initial_state,
            return_last_state=return_last_state,
            **self.scan_arguments(sources, paths),
        )

    def scan_arguments(
        self, sources: Sequence[Tensor], paths: ScanPaths
    ) -> ScanArguments:
        """What a scan of the sources needs besides them.

        Args:
            sources: Features ``(N, L, E)`` in token order, one tensor per
                source that the paths name.
            paths: The ``K`` paths.

        Returns:
            The arguments.

        Raises:
            ValueError: If the number of paths is not the layer's.
        """
        if len(paths.steps) != len(self.used):
            raise ValueError(
                f'this S6 has the weights of {len(self.used)} paths, but was '
                f'given {len(paths.steps)}; set `num_paths` to the number of '
                'steps of the ScanPaths it is used with, or name them in `used`'
            )
        dt, B, C = self._project(sources, paths).split(
            [self.dt_rank, self.d_state, self.d_state], dim=-1
        )
        return {
            'dt': dt,
            'A': -self._of_used(self.A_log).exp(),
            'B': B,
            'C': C,
            'D': self._of_used(self.D),
            'dt_bias': self._of_used(self.dt_bias),
            'dt_weight': self._of_used(self.dt_weight),
        }

    def _of_used(self, weight: Tensor) -> Tensor:
        """The rows of a weight ``(K, ...)`` that belong to the scanned paths."""
        if self.used == tuple(range(self.num_paths)):
            return weight
        return weight[list(self.used)]

    def _project(self, sources: Sequence[Tensor], paths: ScanPaths) -> Tensor:
        """Projects every token for every scanned path: ``(N, K, L, R + 2 N)``."""
        by_path: dict[int, Tensor] = {}
        for source, x in enumerate(sources):
            readers = [k for k, step in enumerate(paths.steps) if step[1] == source]
            if not readers:
                continue
            weight = torch.cat([self.x_proj[self.used[k]] for k in readers])
            projected = F.linear(x, weight).chunk(len(readers), dim=-1)
            by_path.update(zip(readers, projected, strict=True))
        return torch.stack([by_path[k] for k in range(len(self.used))], dim=1)

    def extra_repr(self) -> str:
        """Shows the sizes in ``print(model)``."""
        return (
            f'channels={self.D.shape[-1]}, num_paths={self.num_paths}, '
            f'd_state={self.d_state}, dt_rank={self.dt_rank}, used={self.used}'
        )
