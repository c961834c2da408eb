"""Draws the joint sets with their numbers, for docs/inputs.md.

The person faces the reader: their right is at the left of the picture.

    python tools/misc/joint_sets_picture.py docs/images/joint_sets.png
"""

import argparse
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmssm.structures.joint_sets import JointSet, get_joint_set
from mmssm.visualization.scene import CENTRE, LEFT, RIGHT

SHOWN = ('h36m', 'coco', 'halpe26', 'mediapipe_pose')

MIDDLE = {
    'head': (0, 96),
    'nose': (0, 86),
    'neck_base': (0, 86),
    'neck': (0, 76),
    'thorax': (0, 74),
    'spine': (0, 60),
    'root': (0, 48),
    'hip': (0, 48),
}
RIGHT_HALF = {
    'eye': (-3, 91),
    'eye_inner': (-2, 92),
    'eye_outer': (-5, 92),
    'ear': (-8, 88),
    'mouth': (-2.5, 82),
    'shoulder': (-12, 73),
    'elbow': (-21, 61),
    'wrist': (-28, 49),
    'pinky': (-33, 45),
    'index': (-30, 42),
    'thumb': (-25, 44),
    'hip': (-8, 47),
    'knee': (-10, 26),
    'ankle': (-11, 6),
    'foot': (-11, 6),
    'heel': (-8, 2),
    'foot_index': (-16, 0),
    'big_toe': (-13, -1),
    'small_toe': (-18, 1),
}
"""Where joints are drawn, in percent of a person's height; the left half mirrors it."""


def place(name: str) -> tuple[float, float]:
    """Where a joint is drawn."""
    if name in MIDDLE:
        return MIDDLE[name]
    part = '_'.join(one for one in name.split('_') if one not in ('left', 'right'))
    x, y = RIGHT_HALF[part]
    return (x, y) if 'right' in name else (-x, y)


def draw(axes: Axes, joints: JointSet) -> None:
    """Draws a joint set with numbers."""
    colors = {'right': RIGHT, 'left': LEFT, '': CENTRE}
    places = [place(name) for name in joints.joint_names]
    for one, other in joints.skeleton:
        sides = {joints.side(one), joints.side(other)} - {''}
        color = colors[sides.pop() if len(sides) == 1 else '']
        axes.plot(*zip(places[one], places[other], strict=True), color=color, lw=1.5)
    for number, (x, y) in enumerate(places):
        axes.plot(x, y, 'o', color=colors[joints.side(number)], ms=3)
        axes.annotate(
            str(number),
            (x, y),
            xytext=(3, 2),
            textcoords='offset points',
            fontsize=6.5,
        )
    axes.set(title=joints.name, xlim=(-38, 38), ylim=(-6, 102), aspect='equal')
    axes.axis('off')


def main(argv: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='picture to write, .png or .svg')
    args = parser.parse_args(argv)
    figure = Figure(figsize=(11, 4.2), dpi=110, layout='constrained')
    for axes, name in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
        draw(axes, get_joint_set(name))
    figure.savefig(args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
