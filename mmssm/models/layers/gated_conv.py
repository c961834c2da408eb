"""The gated mixer of Mamba, with or without a scan in it."""

import torch.nn.functional as F
from torch import Tensor, nn

from .causal_dwconv import CausalDWConv1d


class GatedConv(nn.Module):
    """Gated convolution over the tokens of a map, row by row.

    ``out_proj(SSM(SiLU(conv(in_proj(x)))) * SiLU(gate_proj(x)))``: with a state
    space layer the mixer of a Mamba block, without one that of a gated
    convolution block. The linear layers have no bias. Mamba's ``in_proj`` holds
    both branches in one weight; apart, each branch lies contiguously in memory.

    Args:
        embed_dims: Number of channels ``C`` in and out.
        expand: Inner width ``E`` over ``embed_dims``.
        ssm: State space layer from ``(N, H, W, E)`` to the same. Default: none.

    Source:
        Yu and Wang, "MambaOut: Do We Really Need Mamba for Vision?" (CVPR 2025),
        and "DF-Mamba", section 4.1: the convolution is one-dimensional.
    """

    def __init__(
        self, embed_dims: int, expand: float, ssm: nn.Module | None = None
    ) -> None:
        super().__init__()
        inner = int(expand * embed_dims)
        self.in_proj = nn.Linear(embed_dims, inner, bias=False)
        self.gate_proj = nn.Linear(embed_dims, inner, bias=False)
        self.conv = CausalDWConv1d(inner)
        self.ssm = ssm if ssm is not None else nn.Identity()
        self.out_proj = nn.Linear(inner, embed_dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes the tokens of maps ``(N, H, W, C)``."""
        size = x.shape[1:3]
        tokens = self.conv(self.in_proj(x).flatten(1, 2))
        y = self.ssm(F.silu(tokens).unflatten(1, size))
        return self.out_proj(y * F.silu(self.gate_proj(x)))
