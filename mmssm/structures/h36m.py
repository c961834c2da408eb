"""The Human3.6M skeleton of 17 joints: names, parents, mirrored pairs.

Equal to MMPose's ``configs/_base_/datasets/h36m.py`` (a test holds it to that),
kept here as constants for code that has no dataset at hand.
"""

NUM_JOINTS = 17

JOINT_NAMES = (
    'root',
    'right_hip',
    'right_knee',
    'right_foot',
    'left_hip',
    'left_knee',
    'left_foot',
    'spine',
    'thorax',
    'neck_base',
    'head',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'right_shoulder',
    'right_elbow',
    'right_wrist',
)
"""Joint names in the order of every ``(..., 17, C)`` array of this package.

``right_foot`` and ``left_foot`` are the ankles, ``thorax`` lies between the
shoulders, ``neck_base`` at the height of the nose."""

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
"""Parent of each joint; -1 marks the root. A parent comes before its children."""


def _mirror(name: str) -> str:
    side, _, part = name.partition('_')
    other = {'left': 'right', 'right': 'left'}.get(side)
    return f'{other}_{part}' if other else name


SKELETON = tuple((parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0)
"""The 16 bones as (parent, joint)."""

FLIP_INDICES = tuple(JOINT_NAMES.index(_mirror(name)) for name in JOINT_NAMES)
"""Joint that takes the place of each joint in the mirrored pose."""

FLIP_PAIRS = tuple(
    (joint, other) for joint, other in enumerate(FLIP_INDICES) if joint < other
)
"""Mirrored joints as (right, left)."""

ROOT = JOINT_NAMES.index('root')
"""Index of the pelvis, the origin of root-relative poses."""
