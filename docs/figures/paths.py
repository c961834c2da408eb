"""Draws the paths of the published models, as their modules hold them.

Nothing here knows an order: models are built, small, and asked for the paths of a
small grid. The pictures stand in ``docs/concepts.md``.

    python docs/figures/paths.py --out docs/images
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

import mmssm.registry  # noqa: F401  cures the host before it is imported
from mmssm.models.backbones import DFMamba, PoseMamba, SasMamba
from mmssm.models.heads import HambaHead
from mmssm.models.layers import (
    SS2D,
    CausalSS2D,
    GSSBlock,
    LocalMix,
    RowScan,
    StrideMix,
)
from mmssm.ops import ScanPaths

FRAMES, JOINTS = 4, 6
CPU = torch.device('cpu')
SMALL_LIFTER = dict(embed_dims=8, depth=1, num_frames=FRAMES)
DOT, LINE = '#2b7a9e', '#d1603d'

Visits = list[list[int]]
"""Tokens in the order of their visits, in stretches between restarts."""


# --- asking the models ---------------------------------------------------------


def part(model: nn.Module, kind: type) -> nn.Module:
    """Returns the first module of a kind.

    Raises:
        ValueError: The model has none.
    """
    for module in model.modules():
        if isinstance(module, kind):
            return module
    raise ValueError(f'{type(model).__name__} has no {kind.__name__}')


def visits(paths: ScanPaths) -> list[Visits]:
    """Returns the visits of every path."""
    length = paths.segment or paths.num_tokens
    found = []
    for row, _, reverse in paths.steps:
        order = paths.index[row].tolist()
        order = order[::-1] if reverse else order
        found.append([order[k : k + length] for k in range(0, len(order), length)])
    return found


def clip_visits() -> dict[str, Visits]:
    """PoseMamba's four paths over a clip, and the causal one along a joint."""
    model = PoseMamba(num_joints=JOINTS, local_scan=False, **SMALL_LIFTER)
    four = visits(part(model, SS2D).paths(FRAMES, JOINTS, CPU))
    names = ('frame by frame', 'joint by joint')
    found = dict(zip((*names, *(f'{n}, back' for n in names)), four, strict=True))
    model = PoseMamba(num_joints=JOINTS, local_scan=False, causal=True, **SMALL_LIFTER)
    (along,) = visits(part(model, CausalSS2D).joint_paths(FRAMES, JOINTS, CPU))
    return found | {'causal: a restart at every joint': along}


def image_visits() -> Visits:
    """DF-Mamba's sweep over a map, here of as many tokens."""
    model = DFMamba(dims=(8, 16, 32, 64), depths=(1,) * 6, d_state=2)
    (found,) = visits(part(model, RowScan).paths(FRAMES, JOINTS, CPU))
    return found


def read_joints() -> dict[str, Tensor]:
    """How often the spatial paths read each joint, ``(17 places, 17 joints)``."""
    joints = torch.eye(17)[None, None]
    lifters = {
        'PoseMamba: local order': (PoseMamba, LocalMix),
        'SasMamba: strides 1, 2 and 3': (SasMamba, StrideMix),
    }
    return {
        title: part(model(**SMALL_LIFTER), mix)(joints)[0][0, 0]
        for title, (model, mix) in lifters.items()
    }


def hand_visits() -> tuple[list[int], Tensor]:
    """Hamba's order of 21 joints and of token 21, of the whole image; its hand.

    Returns:
        The tokens as the first path of a block visits them, and the joints of the
        hand at rest, ``(21, 2)``, seen so that they spread most.
    """
    head = HambaHead(in_channels=8, arch='small')
    block = part(head, GSSBlock)
    tokens = torch.arange(22) if block.order is None else block.order
    (first,), *_ = visits(part(block, SS2D).paths(22, 1, CPU))
    rest = torch.eye(3).expand(1, 16, 3, 3)
    joints = head.mano(rest[:, :1], rest[:, 1:]).joints[0].detach()
    centred = joints - joints.mean(0)
    return tokens[first].tolist(), centred @ torch.linalg.svd(centred).Vh[:2].T


# --- drawing ---------------------------------------------------------------------


def draw_stretches(axes: Axes, places: Tensor, stretches: Visits) -> None:
    """Draws visits: a line through the places, and at each the number of its visit.

    Args:
        axes: Where to draw; y goes down.
        places: ``(tokens, 2)`` x and y.
        stretches: The visits.
    """
    number = 0
    for stretch in stretches:
        line = places[stretch].tolist()
        for start, end in itertools.pairwise(line):
            arrow = dict(arrowstyle='-|>', color=LINE, shrinkA=7, shrinkB=7)
            axes.annotate('', end, start, arrowprops=arrow)
        for x, y in line:
            axes.plot(x, y, 'o', markersize=13, color=DOT)
            axes.text(
                *(x, y, str(number)),
                color='white',
                fontsize=7,
                ha='center',
                va='center',
            )
            number += 1


def draw_grid(axes: Axes, title: str, stretches: Visits, sides: Sequence[str]) -> None:
    """Draws visits of a grid of ``FRAMES`` rows and ``JOINTS`` columns."""
    rows, columns = torch.meshgrid(
        torch.arange(FRAMES), torch.arange(JOINTS), indexing='ij'
    )
    places = torch.stack([columns.flatten(), rows.flatten()], 1)
    draw_stretches(axes, places, stretches)
    axes.set(title=title, xlabel=sides[0], ylabel=sides[1], xticks=[], yticks=[])
    axes.set(xlim=(-0.6, JOINTS - 0.4), ylim=(FRAMES - 0.4, -0.6))
    axes.title.set_fontsize(10)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, with a canvas."""
    figure = Figure((width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def draw_grids() -> Figure:
    """The paths over clips and images."""
    figure = new_figure(10, 5)
    panels = figure.subplots(2, 3).flat
    for axes, (name, stretches) in zip(panels, clip_visits().items(), strict=False):
        draw_grid(axes, name, stretches, ('joints', 'frames'))
    draw_grid(panels[5], 'DF-Mamba: sweep', image_visits(), ('columns', 'rows'))
    return figure


def draw_reads() -> Figure:
    """What the spatial paths of the lifters read at each place."""
    figure = new_figure(8, 4.2)
    for axes, (title, counts) in zip(
        figure.subplots(1, 2), read_joints().items(), strict=True
    ):
        shown = axes.imshow(counts, cmap='Blues', vmin=0, vmax=3)
        axes.set(xlabel='joint', ylabel='place', xticks=range(0, 17, 2))
        axes.set(yticks=range(0, 17, 2))
        axes.set_title(title, fontsize=10)
    bar = figure.colorbar(shown, ax=figure.axes, ticks=range(4), shrink=0.8)
    bar.set_label('times added')
    return figure


def draw_hand() -> Figure:
    """Hamba's order over the joints of a hand."""
    order, joints = hand_visits()
    aside = torch.stack([joints[:, 0].mean(), joints[:, 1].min() - 0.03])
    places = torch.cat([joints, aside[None]])
    figure = new_figure(6.5, 4)
    axes = figure.subplots()
    draw_stretches(axes, places, [order])
    axes.annotate(
        'the whole image', aside, (12, 0), textcoords='offset points', va='center'
    )
    axes.set_aspect('equal')
    axes.margins(0.08)
    axes.set_axis_off()
    return figure


FIGURES = {
    'paths_grid.png': draw_grids,
    'paths_reads.png': draw_reads,
    'paths_hand.png': draw_hand,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the figures into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    default = Path(__file__).resolve().parents[1] / 'images'
    parser.add_argument('--out', type=Path, default=default, help='folder')
    folder = parser.parse_args(arguments).out
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        draw().savefig(folder / name, dpi=90, metadata={'Software': None})
        print(folder / name)


if __name__ == '__main__':
    main()
