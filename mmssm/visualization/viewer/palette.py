"""Colours of people and hands, the same in pages and in videos."""

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


def track_color(number: int) -> str:
    """Colour of the person or hand with this number, counted from 0."""
    return TRACK_COLORS[number % len(TRACK_COLORS)]


def rgb(color: str) -> tuple[int, int, int]:
    """Red, green and blue of ``'#rrggbb'``, 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
