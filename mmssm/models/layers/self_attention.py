"""Self-attention among tokens."""

import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens of a grid.

    It takes the place of `SS2D` in a block, for comparison.

    Args:
        embed_dims: Number of channels ``C``.
        num_heads: Number of heads.

    Raises:
        ValueError: If the heads do not divide the channels.
    """

    def __init__(self, embed_dims: int, num_heads: int = 8) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(
                f'num_heads must divide the {embed_dims} channels, got {num_heads}'
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.out_proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """Mixes tokens ``(N, rows, columns, C)`` to the same shape."""
        size = x.shape[1:3]
        qkv = self.qkv(x.flatten(1, 2)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out_proj(y).unflatten(1, size)
