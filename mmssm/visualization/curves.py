"""Curves of a training run, drawn from MMEngine's ``scalars.json``."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .scene import LEFT, RIGHT, render

Curve = tuple[NDArray, NDArray]


def load_scalars(path: str | Path) -> dict[str, Curve]:
    """Reads every scalar of a run as a curve over iterations.

    Values of a validation are logged without the training iteration; their step
    is the epoch, or the iteration in a run by iterations. They are put at the
    last iteration known by then, so that all curves share an axis.

    Args:
        path: ``scalars.json`` of a run: one JSON object a line.

    Returns:
        Per name, iterations and values in the order logged.

    Raises:
        ValueError: If a line is not a JSON object, or the file is empty.
    """
    points: dict[str, list[tuple[int, float]]] = {}
    iteration = 0
    for number, line in enumerate(Path(path).read_text().splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f'{path}, line {number}: expected one JSON object a line as '
                f'MMEngine writes them to vis_data/scalars.json, found {line[:60]!r}'
            ) from error
        iteration = entry.get('iter', max(iteration, entry.get('step', 0)))
        for name, value in entry.items():
            if isinstance(value, int | float):
                points.setdefault(name, []).append((iteration, value))
    if not points:
        raise ValueError(f'{path} holds no values: the run logged nothing yet')
    return {name: (*np.array(pairs).T,) for name, pairs in points.items()}


def plot_curves(
    runs: Mapping[str, dict[str, Curve]],
    metrics: tuple[str, ...] = ('MPJPE', 'P-MPJPE'),
    levels: Mapping[str, float] | None = None,
) -> NDArray[np.uint8]:
    """Draws the training loss, and the validation metrics beside it.

    Args:
        runs: Scalars of each run by its label, from :func:`load_scalars`.
        metrics: Names of validation metrics, millimetres; those that no run
            logged are left out.
        levels: Errors of constant predictors by their names, millimetres:
            drawn as dotted lines.

    Returns:
        RGB ``(H, W, 3)``.
    """
    figure = Figure(figsize=(9, 3.6), dpi=110)
    loss, error = figure.subplots(1, 2)
    for label, scalars in runs.items():
        if 'loss' in scalars:
            loss.plot(*scalars['loss'], linewidth=1.4, label=label)
        for name, style in zip(metrics, ('-', '--', ':', '-.'), strict=False):
            if name in scalars:
                error.plot(
                    *scalars[name],
                    style,
                    marker='o',
                    markersize=3,
                    linewidth=1.4,
                    color=LEFT if len(runs) == 1 else None,
                    label=name if len(runs) == 1 else f'{label}: {name}',
                )
    for name, level in (levels or {}).items():
        error.axhline(level, color=RIGHT, linestyle=':', linewidth=1.2)
        error.annotate(
            f'{name}: {level:.0f} mm',
            (0.98, level),
            xycoords=('axes fraction', 'data'),
            ha='right',
            va='bottom',
            fontsize=7,
            color=RIGHT,
        )
    loss.set_yscale('log')
    loss.yaxis.set_major_formatter('{x:g}')
    loss.yaxis.set_minor_formatter('{x:g}')
    _finish(loss, 'training loss', 'loss (normalised units)')
    _finish(error, 'validation', 'error (mm)')
    error.set_ylim(bottom=0)
    figure.tight_layout()
    return render(figure)


def _finish(axes: Axes, title: str, ylabel: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel('iteration', fontsize=8)
    axes.set_ylabel(ylabel, fontsize=8)
    axes.tick_params(labelsize=7, which='both')
    axes.grid(color='#e8eaed', linewidth=0.7, which='both')
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)
