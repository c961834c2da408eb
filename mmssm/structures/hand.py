"""The hand of 21 joints: the order used here, those of data sets, fingertips.

Every ``(..., 21, C)`` array of this package is in the order ``'op21'``: wrist,
then thumb, index, middle, ring and little finger, each from its base to its tip
(OpenPose, FreiHAND, DexYCB, COCO-WholeBody). Names are those of MMPose's
``configs/_base_/datasets/freihand2d.py`` (a test holds them to that).
"""

from collections.abc import Sequence

import numpy as np

NUM_JOINTS = 21

FINGERS = ('thumb', 'forefinger', 'middle_finger', 'ring_finger', 'pinky_finger')

JOINT_NAMES = (
    'wrist',
    *(f'{finger}{joint}' for finger in FINGERS for joint in (1, 2, 3, 4)),
)
"""Joint names in the order ``'op21'``; 1 is a finger's base, 4 its tip."""

PARENTS = (
    -1,
    *(
        0 if joint == 0 else 4 * finger + joint
        for finger in range(5)
        for joint in range(4)
    ),
)
"""Parent of each joint; -1 marks the root. A parent comes before its children."""

SKELETON = tuple((parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0)
"""The 20 bones as (parent, joint)."""

WRIST = JOINT_NAMES.index('wrist')

MIDDLE_BASE = JOINT_NAMES.index('middle_finger1')
"""The middle finger's knuckle, root of FreiHAND's camera parameters."""

TIPS = tuple(JOINT_NAMES.index(f'{finger}4') for finger in FINGERS)
"""Fingertips, thumb to little finger."""


def _names(fingers: Sequence[str], joints: Sequence[int]) -> tuple[str, ...]:
    return tuple(f'{finger}{joint}' for finger in fingers for joint in joints)


_MANO_FINGERS = ('forefinger', 'middle_finger', 'pinky_finger', 'ring_finger', 'thumb')

ORDERS = {
    'op21': JOINT_NAMES,
    'mano': (
        'wrist',
        *_names(_MANO_FINGERS, (1, 2, 3)),
        *_names(FINGERS, (4,)),
    ),
    'interhand': (*_names(FINGERS, (4, 3, 2, 1)), 'wrist'),
    'rhd': ('wrist', *_names(FINGERS, (4, 3, 2, 1))),
}
"""Joint names of one hand, by the order's name.

``'op21'``
    FreiHAND, DexYCB, COCO-WholeBody, this package.
``'mano'``
    MANO's 16 joints, then the five tips: HO3D, H2O3D, and what their
    evaluation servers take.
``'interhand'``
    One half of InterHand2.6M and AssemblyHands, which list the right hand first.
``'rhd'``
    One half of RHD, which lists the left hand first, and MMPose's RHD files.
"""


def permutation(source: str, target: str = 'op21') -> tuple[int, ...]:
    """Where each joint of one order stands in another.

    Args:
        source: Order of the joints at hand, a key of :data:`ORDERS`.
        target: Order wanted.

    Returns:
        ``p`` such that ``joints_in_target = joints_in_source[..., p, :]``.

    Raises:
        ValueError: There is no such order.
    """
    for order in (source, target):
        if order not in ORDERS:
            raise ValueError(
                f"expected an order of joints out of {sorted(ORDERS)}, got '{order}'"
            )
    return tuple(ORDERS[source].index(name) for name in ORDERS[target])


def reorder(
    joints: np.ndarray, source: str, target: str = 'op21', axis: int = -2
) -> np.ndarray:
    """Brings one hand's joints from one order into another.

    Args:
        joints: An array with 21 joints along ``axis``.
        source: Its order, a key of :data:`ORDERS`.
        target: Order wanted.
        axis: The axis of joints: -2 for coordinates, -1 for visibilities.

    Returns:
        A copy in the order wanted.

    Raises:
        ValueError: There is no such order, or not 21 joints.
    """
    joints = np.asarray(joints)
    if joints.shape[axis] != NUM_JOINTS:
        raise ValueError(
            f'expected {NUM_JOINTS} joints of one hand along axis {axis}, found '
            f'{joints.shape[axis]} in an array of shape {joints.shape}'
        )
    return np.take(joints, permutation(source, target), axis)


TWO_HANDS = {'interhand': ('right', 'left'), 'rhd': ('left', 'right')}
"""Which hand stands first among the 42 joints of a data set."""


def half(joints: np.ndarray, source: str, side: str, axis: int = -2) -> np.ndarray:
    """One hand out of the 42 joints of two, in the order ``'op21'``.

    Args:
        joints: An array with 42 joints along ``axis``.
        source: A key of :data:`TWO_HANDS`.
        side: ``'right'`` or ``'left'``.
        axis: The axis of joints.

    Returns:
        A copy with 21 joints along ``axis``.

    Raises:
        ValueError: There is no such order or side, or not 42 joints.
    """
    joints = np.asarray(joints)
    if source not in TWO_HANDS or side not in TWO_HANDS[source]:
        raise ValueError(
            f"expected an order out of {sorted(TWO_HANDS)} and a side 'right' or "
            f"'left', got '{source}' and '{side}'"
        )
    if joints.shape[axis] != 2 * NUM_JOINTS:
        raise ValueError(
            f'expected {2 * NUM_JOINTS} joints of two hands along axis {axis}, found '
            f'{joints.shape[axis]} in an array of shape {joints.shape}'
        )
    first = NUM_JOINTS * TWO_HANDS[source].index(side)
    return np.take(joints, [first + place for place in permutation(source)], axis)


FINGERTIP_VERTICES = {
    'smplx': (744, 320, 443, 554, 671),
    'freihand': (744, 320, 443, 555, 672),
    'ho3d': (744, 333, 444, 555, 672),
    'dexycb_right': (745, 317, 444, 556, 673),
    'dexycb_left': (745, 317, 445, 556, 673),
}
"""MANO's vertices that stand for the tips, thumb to little finger.

Data sets disagree: ``smplx`` also serves HaMeR, ``ho3d`` H2O3D, ``dexycb_*``
manopth. Stored joints, where a data set has them, go before regressed ones.
"""

NYU_EVALUATED = {
    'pinky_finger4': 0,
    'pinky_finger2': 3,
    'ring_finger4': 6,
    'ring_finger2': 9,
    'middle_finger4': 12,
    'middle_finger2': 15,
    'forefinger4': 18,
    'forefinger2': 21,
    'thumb4': 24,
    'thumb3': 25,
    'thumb1': 27,
    'wrist_back': 30,
    'wrist': 31,
    'palm': 32,
}
"""The 14 of NYU's 36 joints that are evaluated: name and place among the 36.

Only the tips are the joints of these names in ``'op21'``; the others are near
them.
"""

NYU_SKELETON = (
    ('palm', 'wrist'),
    ('palm', 'wrist_back'),
    ('palm', 'thumb1'),
    ('thumb1', 'thumb3'),
    ('thumb3', 'thumb4'),
    *(
        bone
        for finger in FINGERS[1:]
        for bone in (('palm', f'{finger}2'), (f'{finger}2', f'{finger}4'))
    ),
)
"""Lines between NYU's 14 joints, for pictures."""


def chirality(joints: np.ndarray) -> np.ndarray:
    """Which hand some joints belong to, by how the middle finger bends.

    The triple product of wrist to index knuckle, wrist to little knuckle and
    middle knuckle to middle tip, over the product of their lengths. Fingers
    bend towards the palm, so in a right-handed frame (OpenCV's, OpenGL's) a
    right hand gives a positive number and a left hand a negative one; a mirrored
    image changes the sign. A stretched finger gives about 0: take the median over
    many poses.

    Args:
        joints: ``(..., 21, 3)`` in the order ``'op21'``, any unit.

    Returns:
        ``(...)`` in [-1, 1]; 0 where the joints coincide.
    """
    wrist, index, little = joints[..., 0, :], joints[..., 5, :], joints[..., 17, :]
    bend = joints[..., 12, :] - joints[..., 9, :]
    across = np.cross(index - wrist, little - wrist)
    size = (
        np.linalg.norm(index - wrist, axis=-1)
        * np.linalg.norm(little - wrist, axis=-1)
        * np.linalg.norm(bend, axis=-1)
    )
    product = (across * bend).sum(-1)
    return np.divide(product, size, out=np.zeros_like(product), where=size > 0)
