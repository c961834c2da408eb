"""One token for each joint out of a feature map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .crop_map import CropMap


class TokenSampler(nn.Module):
    """Samples a map where joints are, and filters what it read.

    Bilinear samples, zero outside of the map; then two linear layers with batch
    norm and ReLU between them. No gradient goes to the places.

    Args:
        channels: Number of channels ``C``.
        crop_map: Where the cells of the map lie in the crop.

    Source:
        "Hamba", Eq. 5.
    """

    def __init__(self, channels: int, crop_map: CropMap) -> None:
        super().__init__()
        self.crop_map = crop_map
        self.filter = nn.Sequential(
            nn.Conv1d(channels, channels, 1),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, feature_map: Tensor, places: Tensor) -> Tensor:
        """Samples tokens.

        Args:
            feature_map: ``(N, C, rows, columns)``.
            places: ``(N, J, 2)`` in units of the crop, (0, 0) in its middle.

        Returns:
            Tokens ``(N, J, C)``.
        """
        return self.filter(self.sample(feature_map, places)).transpose(1, 2)

    def sample(self, feature_map: Tensor, places: Tensor) -> Tensor:
        """Features ``(N, C, J)`` of a map at places, as in `forward`."""
        # Places need more digits than features have under autocast.
        dtype = torch.promote_types(feature_map.dtype, torch.float32)
        grid = self.crop_map.grid(places.detach().to(dtype))[:, :, None]
        sampled = F.grid_sample(feature_map.to(dtype), grid, align_corners=False)
        return sampled.squeeze(-1).to(feature_map.dtype)
