"""Pictures of the token-to-token maps that scans imply."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .scene import render

COLORS = 'magma'
GAMMA = 0.5
"""Colours go with the root of a share: what a token keeps of itself would otherwise
leave all else in black."""


@dataclass(frozen=True)
class SharePanel:
    """Who reads whom, as a square.

    Attributes:
        title: Name over the panel.
        shares: Row ``i`` reads column ``j``, ``(K, K)``; rows sum to one.
        what: What rows and columns are: ``'joint'``, ``'frame'``, ``'token'``.
        names: A name for each, or None for their numbers.
    """

    title: str
    shares: NDArray
    what: str
    names: Sequence[str] | None = None


def draw_shares(panels: Sequence[SharePanel], title: str = '') -> NDArray[np.uint8]:
    """Draws squares of shares side by side.

    Args:
        panels: The squares.
        title: A line over all of them.

    Returns:
        The picture, RGB ``(H, W, 3)``.
    """
    figure = Figure(figsize=(5.2 * len(panels), 4.8), dpi=100)
    for axes, panel in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        image = axes.imshow(panel.shares, cmap=COLORS, norm=_norm(panel.shares))
        axes.set_title(panel.title, fontsize=9)
        axes.set_xlabel(f'{panel.what} that is read', fontsize=8)
        axes.set_ylabel(f'{panel.what} that reads', fontsize=8)
        axes.tick_params(labelsize=7)
        if panel.names is not None:
            places = range(len(panel.names))
            axes.set_xticks(places, panel.names, rotation=90, fontsize=6)
            axes.set_yticks(places, panel.names, fontsize=6)
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
        bar.set_label('share of what arrives', fontsize=7)
        bar.ax.tick_params(labelsize=6)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    return render(figure)


def draw_reads(
    reads: NDArray,
    tokens: NDArray,
    title: str = '',
    image: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Draws from where some tokens of a map read.

    Args:
        reads: Shares of what arrives at each of the tokens, ``(Q, rows, columns)``.
        tokens: Row and column of these tokens, ``(Q, 2)``; marked by a cross.
        title: A line over all panels.
        image: What the network saw, RGB ``(H, W, 3)``: a panel of its own.

    Returns:
        The picture, RGB ``(H, W, 3)``.
    """
    count = len(reads) + (image is not None)
    figure = Figure(figsize=(2.6 * count, 3.1), dpi=100)
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    if image is not None:
        _bare(panels[0], 'input')
        panels.pop(0).imshow(image)
    for axes, shares, (row, column) in zip(panels, reads, tokens, strict=True):
        _bare(axes, f'read by row {row}, column {column}')
        axes.imshow(shares, cmap=COLORS, norm=_norm(shares))
        axes.plot(column, row, '+', color='#4cc9f0', markersize=9, markeredgewidth=1.5)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    return render(figure)


def _norm(shares: NDArray) -> PowerNorm:
    return PowerNorm(GAMMA, vmin=0, vmax=max(float(shares.max()), 1e-12))


def _bare(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=8)
    axes.set_xticks([])
    axes.set_yticks([])
