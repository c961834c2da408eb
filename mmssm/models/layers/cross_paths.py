"""The paths on which a grid of tokens is visited."""

from collections.abc import Sequence

import torch

from mmssm.ops import ScanPaths


def cross_paths(
    rows: int,
    columns: int,
    sources: Sequence[int] = (0, 0),
    used: Sequence[int] = (0, 1, 2, 3),
) -> ScanPaths:
    """The cross scan: a grid row by row and column by column, forth and back.

    Tokens are numbered row by row. The order of the paths is the one of VMamba
    and PoseMamba: rows forth, columns forth, rows back, columns back. Every
    path runs through the whole grid without a restart of its state.

    Args:
        rows: Height of the grid (an image's rows, a clip's frames).
        columns: Width of the grid (an image's columns, a frame's joints).
        sources: Which of the scan's inputs the row paths read, and which the
            column paths read. Default: all read the first.
        used: Which of the four paths, by their place in that order. Default:
            all.

    Returns:
        The paths over ``rows * columns`` tokens, on the default device.

    Source:
        Liu et al., "VMamba: Visual State Space Model" (NeurIPS 2024).
    """
    grid = torch.arange(rows * columns).view(rows, columns)
    index = torch.stack([grid.flatten(), grid.t().flatten()])
    by_row, by_column = sources
    steps = (
        (0, by_row, False),
        (1, by_column, False),
        (0, by_row, True),
        (1, by_column, True),
    )
    return ScanPaths(index, [steps[k] for k in used])
