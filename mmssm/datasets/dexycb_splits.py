"""DexYCB's official splits."""

from typing import NamedTuple

SEQUENCES = 100
"""Sequences of each subject."""

SETUPS = ('s0', 's1', 's2', 's3')
SPLITS = ('train', 'val', 'test')

ALL = {'subjects': range(10), 'cameras': range(8), 'sequences': range(SEQUENCES)}
"""Everything there is."""


def _of_objects(objects: set[int], keep: bool = True) -> list[int]:
    return [i for i in range(SEQUENCES) if (i // 5 in objects) == keep]


_FIFTH = [i for i in range(SEQUENCES) if i % 5 == 4]
_CHOICES: dict[tuple[str, str], dict] = {
    ('s0', 'train'): {'sequences': [i for i in range(SEQUENCES) if i % 5 != 4]},
    ('s0', 'val'): {'subjects': [0, 1], 'sequences': _FIFTH},
    ('s0', 'test'): {'subjects': [2, 3, 4, 5, 6, 7, 8, 9], 'sequences': _FIFTH},
    ('s1', 'train'): {'subjects': [0, 1, 2, 3, 4, 5, 9]},
    ('s1', 'val'): {'subjects': [6]},
    ('s1', 'test'): {'subjects': [7, 8]},
    ('s2', 'train'): {'cameras': [0, 1, 2, 3, 4, 5]},
    ('s2', 'val'): {'cameras': [6]},
    ('s2', 'test'): {'cameras': [7]},
    ('s3', 'train'): {'sequences': _of_objects({3, 7, 11, 15, 19}, keep=False)},
    ('s3', 'val'): {'sequences': _of_objects({3, 19})},
    ('s3', 'test'): {'sequences': _of_objects({7, 11, 15})},
}


class Choice(NamedTuple):
    """What belongs to a split.

    Attributes:
        subjects: Numbers of subjects, from 0.
        cameras: Numbers of cameras, from 0.
        sequences: Places in the sorted list of a subject's sequences, from 0.
    """

    subjects: tuple[int, ...]
    cameras: tuple[int, ...]
    sequences: tuple[int, ...]


def choice(setup: str, split: str) -> Choice:
    """The subjects, cameras and sequences of an official split.

    Args:
        setup: ``'s0'`` (default of the authors), ``'s1'`` (unseen subjects),
            ``'s2'`` (unseen views) or ``'s3'`` (unseen objects grasped).
        split: ``'train'``, ``'val'`` or ``'test'``.

    Returns:
        What belongs to it.

    Raises:
        ValueError: There is no such split.
    """
    if (setup, split) not in _CHOICES:
        raise ValueError(
            f'expected a setup out of {SETUPS} and a split out of {SPLITS}, got '
            f"'{setup}' and '{split}'"
        )
    parts = {**ALL, **_CHOICES[setup, split]}
    return Choice(**{name: tuple(numbers) for name, numbers in parts.items()})
