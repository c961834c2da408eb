"""The residual convolution block."""

from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn


class ConvBlock(nn.Module):
    """ResNet-18's basic block with GELU, without a change of size.

    ``x + DropPath(BN(conv(GELU(BN(conv(x))))))``; nothing follows the sum.

    MMPose's ``BasicBlock`` has ReLU written into it, also after the sum.

    Args:
        channels: Number of channels ``C``.
        norm_cfg: Config of the norms.
        drop_path_rate: Chance that a sample skips the branch in training.

    Source:
        "DF-Mamba", section 4.2; He et al., "Deep Residual Learning for Image
        Recognition" (CVPR 2016).
    """

    def __init__(
        self, channels: int, norm_cfg: dict, drop_path_rate: float = 0.0
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = build_norm_layer(norm_cfg, channels)[1]
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = build_norm_layer(norm_cfg, channels)[1]
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the block to maps ``(N, C, H, W)``."""
        y = self.act(self.norm1(self.conv1(x)))
        return x + self.drop_path(self.norm2(self.conv2(y)))
