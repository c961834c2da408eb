"""A strided convolution and a norm between maps of tokens."""

from torch import Tensor, nn


class DownConv(nn.Module):
    """Halves a map: 3x3 convolution of stride 2, then LayerNorm over channels.

    Sides that are odd are rounded up. Tokens come and go with the channels last,
    as the blocks around it have them, so that nothing is copied in between.

    Args:
        in_channels: Number of channels in.
        out_channels: Number of channels out.

    Source:
        Liu et al., "VMamba: Visual State Space Model" (NeurIPS 2024): both halves
        of the stem and every downsampling.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Halves maps ``(N, H, W, C_in)`` to ``(N, H / 2, W / 2, C_out)``."""
        x = self.conv(x.permute(0, 3, 1, 2))
        return self.norm(x.permute(0, 2, 3, 1))
