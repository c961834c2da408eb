"""Where people stand in a scene."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .limits import finite_points
from .results import Person

_LONGEST_ROW = 6

_TALL = 1.7
"""Metres: a body where none is known."""


@dataclass(frozen=True)
class Placing:
    """How people are set up beside one another.

    Attributes:
        size: Extent of a body, metres.
        spacing: From one person to the next, metres: nobody reaches so far.
        offsets: ``(3,)`` of each person, metres: where the root stands.
        placed: Whether all roots have been estimated, so that people can stand
            where they were instead.
        slots: Number of each person's place from the left; people who are never
            there together may share one.
    """

    size: float
    spacing: float
    offsets: list[NDArray[np.float64]]
    placed: bool
    slots: list[int]


def place_people(persons: Sequence[Person], room: int = 1) -> Placing:
    """Sets people up side by side; many in rows behind one another.

    Args:
        persons: Who.
        room: How many spacings everyone gets.
    """
    size = _body_size(persons)
    spacing = max(map(_width, persons), default=0.0) + 0.15 * size
    slots = _from_left_to_right(persons, assign_slots(persons))
    count = max(slots, default=0) + 1
    wide = count if count <= _LONGEST_ROW else math.ceil(math.sqrt(2 * count))
    step = np.array([room * spacing, 0.0, 1.5 * spacing])
    places = [np.array([slot % wide, 0, slot // wide]) for slot in slots]
    middle = np.array([(wide - 1) / 2, 0, (count - 1) // wide / 2])
    return Placing(
        size,
        spacing,
        [(place - middle) * step for place in places],
        bool(persons) and all(one.root_position is not None for one in persons),
        slots,
    )


def assign_slots(persons: Sequence[Person]) -> list[int]:
    """A place for everyone so that no two people stand in one at the same time.

    People who come after others have left take their places: a long video has few
    places, however often tracks break.
    """
    slots = [0] * len(persons)
    free_from: list[int] = []
    order = sorted(range(len(persons)), key=lambda number: persons[number].frames[0])
    for number in order:
        first, last = int(persons[number].frames[0]), int(persons[number].frames[-1])
        slot = next((s for s, end in enumerate(free_from) if end < first), None)
        if slot is None:
            slot = len(free_from)
            free_from.append(last)
        free_from[slot] = last
        slots[number] = slot
    return slots


def _width(person: Person) -> float:
    """How far the joints reach along x over all frames, metres."""
    across = finite_points(person.keypoints_3d)[:, 0]
    return float(np.ptp(across)) if len(across) else 0.0


def _from_left_to_right(persons: Sequence[Person], slots: list[int]) -> list[int]:
    """The slots renumbered as their people stand in the image, on the whole."""
    places: dict[int, list[NDArray]] = {}
    for person, slot in zip(persons, slots, strict=True):
        across = np.asarray(person.keypoints, np.float64)[..., 0]
        places.setdefault(slot, []).append(across[np.isfinite(across)])
    middles = {}
    for slot, parts in places.items():
        across = np.concatenate(parts)
        middles[slot] = across.mean() if len(across) else 0.0
    order = sorted(middles, key=lambda slot: middles[slot])
    return [order.index(slot) for slot in slots]


def joints_in_scene(
    person: Person, offset: NDArray | None = None
) -> NDArray[np.float64]:
    """Joints ``(T, J, 3)``, metres.

    Args:
        person: Whose.
        offset: Where the root stands, ``(3,)``; None for where it was estimated.
    """
    joints = np.asarray(person.keypoints_3d, np.float64)
    if offset is not None:
        return joints + offset
    return joints + np.asarray(person.root_position, np.float64)[:, None]


def _body_size(persons: Sequence[Person]) -> float:
    """Extent of a body, metres: the median over frames of the largest edge."""
    extents = [
        np.ptp(np.asarray(one.keypoints_3d, np.float64), axis=1).max(-1)
        for one in persons
    ]
    known = np.concatenate(extents) if extents else np.empty(0)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) and np.median(known) > 0 else _TALL
