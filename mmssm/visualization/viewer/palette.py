"""Colours of people and hands, the same in pages and in videos."""

from collections.abc import Sequence

from mmssm.visualization.scene import CENTRE, LEFT, RIGHT, Skeleton

TRACK_COLORS = (
    '#2f6fb7',
    '#d1603d',
    '#2e8b57',
    '#a0489c',
    '#b8860b',
    '#c0415f',
    '#3a8f98',
    '#6b5fc4',
)
"""One after the other for the people of a video, again and again."""

FINGER_COLORS = ('#c0415f', '#b8860b', '#2e8b57', '#2f6fb7', '#a0489c')
"""Thumb to little finger."""

OTHER = '#8b929c'
"""Of what a result is compared with."""


def track_color(number: int) -> str:
    """Colour of the person or hand with this number, counted from 0."""
    return TRACK_COLORS[number % len(TRACK_COLORS)]


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue of ``'#rrggbb'``, 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def lighter(color: str, share: float) -> str:
    """A colour mixed with white: a share of 0 leaves it as it is."""
    mixed = (round(part + (255 - part) * share) for part in rgb(color))
    return '#' + ''.join(f'{part:02x}' for part in mixed)


def body_skeleton(names: Sequence[str], links: Sequence[tuple[int, int]]) -> Skeleton:
    """The links of a result with the colours of their sides."""
    return Skeleton.from_dataset_meta(
        {
            'skeleton_links': [(int(a), int(b)) for a, b in links],
            'keypoint_id2name': dict(enumerate(names)),
        }
    )


def is_left(skeleton: Skeleton) -> list[bool]:
    """Which links are of the left side."""
    return [color == LEFT for color in skeleton.colors]


def side_legend(skeleton: Skeleton, count: int) -> list[dict[str, str]]:
    """What the colours of links mean, as :func:`link_colors` gives them."""
    if count > 1:
        return [{'name': 'left side paler'}] if LEFT in skeleton.colors else []
    sides = {'left': LEFT, 'right': RIGHT, 'middle': CENTRE}
    return [
        {'name': name, 'color': color}
        for name, color in sides.items()
        if color in skeleton.colors
    ]


def link_colors(skeleton: Skeleton, number: int, count: int) -> list[str]:
    """Colours of a person's links.

    Args:
        skeleton: The links.
        number: Of the person, from 0.
        count: How many people there are: one alone has the colours of the sides, of
            several everyone has one colour, lighter on the left.
    """
    if count < 2:
        return list(skeleton.colors)
    own = track_color(number)
    return [lighter(own, 0.45) if left else own for left in is_left(skeleton)]
