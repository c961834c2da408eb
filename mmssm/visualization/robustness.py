"""Pictures of how errors grow with the faults of the input."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .scene import render

Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def plot_sweeps(
    sweeps: Mapping[str, Lines], ylabel: str = 'error (mm)', title: str = ''
) -> NDArray[np.uint8]:
    """Draws a panel for each sweep, all on one scale.

    Args:
        sweeps: By what was varied, with its unit: the lines by their names, each
            the levels and the errors.
        ylabel: What was measured.
        title: A line over all panels.

    Returns:
        RGB ``(H, W, 3)``.
    """
    figure = Figure(figsize=(3.6 * len(sweeps), 3.3), dpi=100)
    panels = figure.subplots(1, len(sweeps), squeeze=False, sharey=True)[0]
    for axes, (varied, lines) in zip(panels, sweeps.items(), strict=True):
        for name, (levels, errors) in lines.items():
            axes.plot(levels, errors, marker='o', markersize=3.5, label=name)
        axes.set_xlabel(varied, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(color='#e8eaed', linewidth=0.7)
    panels[0].set_ylabel(ylabel, fontsize=8)
    panels[0].set_ylim(bottom=0)
    panels[0].legend(fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    return render(figure)
