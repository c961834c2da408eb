"""Depth-wise deformable convolution."""

import torch
from torch import Tensor, nn

from mmssm.ops import deform_sample


class DeformDWConv2d(nn.Module):
    """Depth-wise convolution whose taps stand where the features tell them to.

    A dense convolution of the same window predicts an offset for each tap of
    each place, shared by all channels; the taps are read bilinearly and summed
    with weights by channel. No modulation. All weights begin as PyTorch's
    convolutions do, the offsets too: they are not zero at the start.

    Args:
        channels: Number of channels ``E``.
        kernel_size: Side ``K`` of the window, odd.

    Raises:
        ValueError: If ``kernel_size`` is even or not positive.

    Source:
        Dai et al., "Deformable Convolutional Networks" (ICCV 2017); the SA-Conv
        of Cui et al., "SasMamba", as in the authors' released code. The paper
        prints one offset per joint and dense weights, with which its parameter
        counts cannot be had.
    """

    anchors: Tensor

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f'kernel_size must be odd and positive, got {kernel_size}: the window '
                'stands around a place'
            )
        taps = kernel_size**2
        reach = kernel_size // 2
        self.offset = nn.Conv2d(channels, 2 * taps, kernel_size, padding=reach)
        self.weight = nn.Parameter(torch.empty(channels, taps))
        self.bias = nn.Parameter(torch.empty(channels))
        sides = torch.arange(-reach, reach + 1, dtype=torch.float32)
        anchors = torch.cartesian_prod(sides, sides)
        self.register_buffer('anchors', anchors, persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the weights and the bias anew, those of the offsets included."""
        self.offset.reset_parameters()
        bound = self.weight.shape[1] ** -0.5
        self.weight.uniform_(-bound, bound)
        self.bias.uniform_(-bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves maps ``(N, E, H, W)`` to the same shape."""
        size = (x.shape[2], x.shape[3])
        offset = self.offset(x).permute(0, 2, 3, 1).flatten(1, 2)
        y = self._sample(
            x.permute(0, 2, 3, 1).flatten(1, 2), offset.unflatten(2, (-1, 2)), size
        )
        y = (y + self.bias).to(x.dtype)
        return y.unflatten(1, size).permute(0, 3, 1, 2)

    def _sample(self, tokens: Tensor, offset: Tensor, size: tuple[int, int]) -> Tensor:
        """Weighted sums of the taps of tokens ``(N, H*W, E)``, without the bias.

        Offsets are ``(N, H*W, taps, 2)`` in rows and columns.
        """
        return deform_sample(
            tokens, offset.unsqueeze(2), self.weight, self.anchors, size
        )

    def extra_repr(self) -> str:
        """Shows the sizes in ``print(model)``."""
        return f'channels={self.weight.shape[0]}, taps={self.weight.shape[1]}'
