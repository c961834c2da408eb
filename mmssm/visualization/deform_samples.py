"""Pictures of where deformable scans read an image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .scene import TRUTH, Skeleton, draw_skeletons_2d, render

POSITIVE, NEGATIVE, TOKEN = '#ffd166', '#4cc9f0', '#ef476f'
LARGEST_DOT = 36.0
"""Area of the dot of the largest weight, in square points."""


@dataclass(frozen=True)
class SampledTokens:
    """What one layer reads for some of its tokens, in pixels of the image.

    Attributes:
        title: Name over the panel.
        tokens: Places (x, y) of the tokens, ``(Q, 2)``.
        positions: Places (x, y) of their samples, ``(Q, K, 2)``.
        weights: Weights of the samples, ``(Q, K)``.
    """

    title: str
    tokens: NDArray
    positions: NDArray
    weights: NDArray


def draw_samples(axes: Axes, sampled: SampledTokens) -> None:
    """Draws samples as dots, each with a line from its token.

    The area of a dot grows with the weight, its colour is the weight's sign.

    Args:
        axes: Where to draw, over an image.
        sampled: Tokens and their samples.
    """
    lines = np.stack(np.broadcast_arrays(sampled.tokens[:, None], sampled.positions), 2)
    axes.add_collection(
        LineCollection(
            lines.reshape(-1, 2, 2).tolist(), colors='white', linewidths=0.6, alpha=0.7
        )
    )
    weights = sampled.weights.ravel()
    largest = max(float(np.abs(weights).max(initial=0)), 1e-12)
    x, y = sampled.positions.reshape(-1, 2).T
    axes.scatter(
        x,
        y,
        s=LARGEST_DOT * np.abs(weights) / largest,
        c=np.where(weights < 0, NEGATIVE, POSITIVE).tolist(),
        edgecolors='black',
        linewidths=0.4,
        zorder=3,
    )
    x, y = sampled.tokens.T
    axes.scatter(x, y, s=30, c=TOKEN, marker='+', zorder=4)


def draw_samples_sheet(
    image: NDArray[np.uint8],
    layers: Sequence[SampledTokens],
    skeleton: Skeleton,
    predicted: NDArray,
    true: NDArray | None = None,
) -> NDArray[np.uint8]:
    """Draws the samples of some layers, and beside them the joints.

    Args:
        image: What the network saw, RGB, ``(H, W, 3)``.
        layers: A panel for each.
        skeleton: How the joints are linked.
        predicted: Predicted joints of one or more hands, ``(P, J, 2)`` in pixels of
            the image; NaN where there is none.
        true: The true ones; drawn thick and grey under the predicted ones.

    Returns:
        The picture, RGB.
    """
    figure = Figure(figsize=(3 * (len(layers) + 1), 3.25), dpi=100)
    panels = figure.subplots(1, len(layers) + 1, squeeze=False)[0]
    for axes, sampled in zip(panels[:-1], layers, strict=True):
        _show(axes, image, sampled.title)
        draw_samples(axes, sampled)
    _show(
        panels[-1], image, 'joints: predicted' + ('' if true is None else ', true grey')
    )
    for joints in () if true is None else true:
        panels[-1].add_collection(
            LineCollection(
                skeleton.segments(joints).tolist(),
                colors=TRUTH,
                linewidths=5,
                alpha=0.8,
            )
        )
    draw_skeletons_2d(panels[-1], skeleton, predicted)
    figure.tight_layout(pad=0.4)
    return render(figure)


def _show(axes: Axes, image: NDArray[np.uint8], title: str) -> None:
    """Shows the image; samples outside of it stay in sight in a margin."""
    height, width = image.shape[:2]
    axes.imshow(image)
    margin = 0.08
    axes.set_xlim(-margin * width, (1 + margin) * width)
    axes.set_ylim((1 + margin) * height, -margin * height)
    axes.set_title(title, fontsize=8)
    axes.set_facecolor('#3c4043')
    axes.set_xticks([])
    axes.set_yticks([])
