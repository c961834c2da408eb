"""The pre-norm block around a token mixer."""

from collections import OrderedDict

from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn


class VSSBlock(nn.Module):
    """Pre-norm residual block: a token mixer, then an MLP.

    ``x + DropPath(mixer(LN(x)))``, then ``x + DropPath(MLP(LN(x)))``.

    Args:
        embed_dims: Number of channels ``C``.
        mixer: Token mixer from ``(N, ..., C)`` to the same shape.
        mlp_ratio: Hidden width of the MLP over ``embed_dims``; with 0 there is no
            MLP.
        drop_path_rate: Chance that a sample skips a branch in training.
        norm_eps: What the norms add to the variance.

    Source:
        Liu et al., "VMamba: Visual State Space Model" (NeurIPS 2024).
    """

    def __init__(
        self,
        embed_dims: int,
        mixer: nn.Module,
        mlp_ratio: float = 2.0,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        hidden = int(mlp_ratio * embed_dims)
        self.norm1 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.mixer = mixer
        self.mlp: nn.Module | None = None
        if hidden:
            self.norm2 = nn.LayerNorm(embed_dims, eps=norm_eps)
            self.mlp = nn.Sequential(
                OrderedDict(
                    fc1=nn.Linear(embed_dims, hidden),
                    act=nn.GELU(),
                    fc2=nn.Linear(hidden, embed_dims),
                )
            )
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, *state: object) -> Tensor:
        """Applies the block to features ``(N, ..., C)``.

        Args:
            x: The features.
            *state: Handed on to the mixer: what a causal one keeps of earlier frames.
        """
        x = x + self.drop_path(self.mixer(self.norm1(x), *state))
        if self.mlp is None:
            return x
        return x + self.drop_path(self.mlp(self.norm2(x)))
