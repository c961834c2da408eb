"""Where the cells of a feature map lie in the crop it was made of."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor


class CropMap:
    """Geometry of a feature map of a square crop.

    A backbone may see some columns of the crop only, and its cells may reach over
    the border (a side of 176 pixels has 6 cells of 32). Cell ``c`` of a row is
    centred on column ``first column + first_cell + c * stride``; the map ends half
    a stride beyond its outer cells.

    Args:
        feat_size: Rows and columns of the map.
        crop_size: Side of the crop, pixels.
        crop_columns: First column that the backbone sees, and the one behind the
            last. Default: those in the middle that the map's columns cover.
        stride: Pixels from cell to cell. Default: the height of the crop over the
            rows.
        first_cell: Where in what the backbone sees the first cell is centred, in
            pixels from its left and upper border. Default: half a stride, which
            is a patch's middle. Convolutions of stride 2 and odd kernels, padded
            by half, put it on the border: 0.
        x_pad: ``'exact'``; ``'released'`` squeezes columns as the authors' code
            does, for their weights: what it takes for the margin beside the
            columns is half of what it is.

    Raises:
        ValueError: If the map does not cover what the backbone sees, or on another
            ``x_pad``.
    """

    def __init__(
        self,
        feat_size: Sequence[int],
        crop_size: int = 256,
        crop_columns: Sequence[int] | None = None,
        stride: float | None = None,
        first_cell: float | None = None,
        x_pad: Literal['exact', 'released'] = 'exact',
    ) -> None:
        if x_pad not in ('exact', 'released'):
            raise ValueError(
                f"sampling_x_pad must be 'exact' or 'released', got {x_pad!r}"
            )
        self.feat_size = _pair('feat_size', feat_size)
        rows, columns = self.feat_size
        self.crop_size = crop_size
        if rows < 1 or columns < 1:
            raise ValueError(f'feat_size must be positive, got {self.feat_size}')
        self.stride = crop_size / rows if stride is None else stride
        if crop_columns is None:
            margin = max(0, int(crop_size - columns * self.stride) // 2)
            crop_columns = margin, crop_size - margin
        self.crop_columns = _pair('crop_columns', crop_columns)
        left, right = self.crop_columns
        if not 0 <= left < right <= crop_size:
            raise ValueError(
                f'crop_columns must be two columns of the crop of {crop_size} pixels, '
                f'the first before the second, got {self.crop_columns}'
            )
        if not (
            _covers(rows, self.stride, crop_size)
            and _covers(columns, self.stride, right - left)
        ):
            raise ValueError(
                f'a map of {rows} x {columns} cells of {self.stride:g} pixels is not '
                f'one of the {crop_size} rows and {right - left} columns that the '
                'backbone sees; set feat_size, crop_size, crop_columns and stride to '
                'those of the backbone'
            )
        self.first_cell = self.stride / 2 if first_cell is None else first_cell
        self.x_pad = x_pad
        if x_pad == 'released' and first_cell is not None:
            raise ValueError(
                "sampling_x_pad='released' has its cells' places fixed; leave out "
                'first_cell'
            )

    def check(self, feature_map: Tensor, channels: int) -> None:
        """Raises ValueError if a map is not ``(N, channels, *feat_size)``."""
        if feature_map.ndim == 4 and feature_map.shape[1:] == (
            channels,
            *self.feat_size,
        ):
            return
        rows, columns = self.feat_size
        raise ValueError(
            f'expected a feature map (N, {channels}, {rows}, {columns}), got '
            f'{tuple(feature_map.shape)}; in_channels and feat_size must be those of '
            "the backbone's last map for this size of crop"
        )

    def grid(self, places: Tensor) -> Tensor:
        """Places in the crop as ``grid_sample`` wants them.

        Args:
            places: ``(..., 2)`` x and y in units of the crop, from -0.5 at its
                left or upper border to 0.5.

        Returns:
            ``(..., 2)`` in which -1 and 1 are the borders of the map
            (``align_corners=False``). Columns that the backbone does not see are
            moved to the nearest that it does.
        """
        rows, columns = self.feat_size
        x, y = places.unbind(-1)
        if self.x_pad == 'released':
            seen = 1 - (rows - columns) / (2 * rows)
            return torch.stack([(2 * x).clamp(-seen, seen) / seen, 2 * y], -1)
        left, right = self.crop_columns
        column = ((x + 0.5) * self.crop_size).clamp(left, right) - left
        row = (y + 0.5) * self.crop_size
        return torch.stack([self._place(column, columns), self._place(row, rows)], -1)

    def _place(self, pixels: Tensor, cells: int) -> Tensor:
        cell = (pixels - self.first_cell) / self.stride
        return (2 * cell + 1) / cells - 1


def _covers(cells: int, stride: float, pixels: int) -> bool:
    """Whether that many cells, and not one less, cover the pixels."""
    return (cells - 1) * stride < pixels <= cells * stride


def _pair(name: str, value: Sequence[int]) -> tuple[int, int]:
    if len(value) != 2:
        raise ValueError(f'{name} must be two numbers, got {value!r}')
    first, second = value
    return int(first), int(second)
