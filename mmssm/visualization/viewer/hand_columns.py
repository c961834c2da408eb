"""Which hands are taken for the same one through a video."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .results import Hand


class Column(NamedTuple):
    """Hands that are taken for the same one through a video.

    Attributes:
        side: ``'left'`` or ``'right'``.
        rank: 0 for the first hand of this side in a frame, 1 for the second …
    """

    side: str
    rank: int

    @property
    def name(self) -> str:
        """For the reader."""
        return f'{self.side} hand' + (f' {self.rank + 1}' if self.rank else '')


def columns_of(hands: Sequence[Hand]) -> list[Column]:
    """The column of each hand of a frame."""
    seen: dict[str, int] = {}
    columns = []
    for one in hands:
        rank = seen.get(one.side, 0)
        seen[one.side] = rank + 1
        columns.append(Column(one.side, rank))
    return columns


def all_columns(frames: Sequence[Sequence[Hand]]) -> list[Column]:
    """All columns, from the left of the image to its right."""
    places: dict[Column, list[float]] = {}
    for hands in frames:
        for column, one in zip(columns_of(hands), hands, strict=True):
            places.setdefault(column, []).append(float(np.mean(one.keypoints[:, 0])))
    return sorted(places, key=lambda column: float(np.mean(places[column])))
