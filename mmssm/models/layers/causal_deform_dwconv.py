"""Depth-wise deformable convolution that reads no later frames."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .deform_dwconv import DeformDWConv2d

MAP_FRAMES = 16
"""Frames of a map that is sampled at once, those of the past included.

A place is the number of a row plus an offset; in a map of thousands of rows float32
leaves three digits of the offset, and a clip at once would differ from the same clip
frame by frame. Below 16 rows the sum is as exact as the offset itself.
"""


class CausalDeformDWConv2d(DeformDWConv2d):
    """`DeformDWConv2d` over the frames of a clip without a look ahead.

    The window of ``K`` frames and joints ends at a frame instead of standing around
    it, for the taps and for the convolution that predicts their offsets. Offsets
    along the joints are free. Along time, a tap that would leave the frames of the
    window stands at the nearest of them: at the present frame at the latest, so that
    nothing of later ones is read, and at the oldest at the earliest, so that
    ``K - 1`` past frames are all that a stream must keep.

    Args:
        channels: Number of channels ``E``.
        kernel_size: Side ``K`` of the window, odd.

    Raises:
        ValueError: If ``kernel_size`` is even or not positive.
    """

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        super().__init__(channels, kernel_size)
        reach = kernel_size // 2
        self.past_frames = kernel_size - 1
        self.offset = nn.Conv2d(
            channels, 2 * kernel_size**2, kernel_size, padding=(0, reach)
        )
        self.anchors = self.anchors - torch.tensor([reach, 0.0])

    def forward(self, x: Tensor) -> Tensor:
        """Convolves clips ``(N, E, K - 1 + T, J)`` to ``(N, E, T, J)``."""
        past, joints = self.past_frames, x.shape[3]
        frames = x.shape[2] - past
        offset = self.offset(x).permute(0, 2, 3, 1).unflatten(3, (-1, 2))
        time, along_joints = offset.unbind(-1)
        earliest = self.anchors[:, 0]
        time = (earliest + time).clamp(-past, 0) - earliest
        offset = torch.stack([time, along_joints], -1)

        length = min(frames, max(MAP_FRAMES - past, 1))
        pieces = -(-frames // length)
        # The last piece is filled up behind the clip, where no place can lie.
        fill = pieces * length - frames
        maps = F.pad(x, (0, 0, 0, fill)).unfold(2, past + length, length)
        offset = F.pad(offset, (*[0] * 6, 0, fill)).unflatten(1, (pieces, length))
        # Of the past frames of each piece nothing is asked.
        offset = F.pad(offset, (*[0] * 6, past, 0))
        y = self._sample(
            maps.permute(0, 2, 4, 3, 1).flatten(0, 1).flatten(1, 2),
            offset.flatten(0, 1).flatten(1, 2),
            (past + length, joints),
        )
        y = y.unflatten(0, (-1, pieces)).unflatten(2, (past + length, joints))
        y = (y[:, :, past:].flatten(1, 2)[:, :frames] + self.bias).to(x.dtype)
        return y.permute(0, 3, 1, 2)
