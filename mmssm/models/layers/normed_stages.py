"""Stages with a norm behind the last."""

from collections.abc import Sequence

from torch import Tensor, nn


class NormedStages(nn.Module):
    """Stages one after the other, and a LayerNorm of what the last gives.

    The authors of Hamba build on VMamba's stages, each of which has such a norm,
    and use the last one's. The others are here too, so that sizes are those of the
    paper and each tensor of its weights has a place; they are frozen, as no
    gradient ever reaches them.

    Args:
        stages: Modules from ``(..., C)`` to the same shape.
        channels: Number of channels ``C``.
    """

    def __init__(self, stages: Sequence[nn.Module], channels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in stages)
        for norm in list(self.norms)[:-1]:
            norm.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps features ``(..., C)`` to the same shape."""
        for stage in self.stages:
            x = stage(x)
        return self.norms[-1](x)
