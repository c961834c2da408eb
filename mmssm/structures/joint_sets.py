"""The joint sets that 2D keypoints come in, by name.

Names and orders are those of MMPose's ``configs/_base_/datasets`` where it has them (a
test holds them to that), and MediaPipe's for its 33. **Left and right are the
person's**, never the picture's.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from mmssm.structures import h36m, hand, mpi_inf_3dhp


@dataclass(frozen=True)
class JointSet:
    """Names, bones and mirrored pairs of a set of joints.

    Attributes:
        name: Its name, a key of :data:`JOINT_SETS`.
        joint_names: Names in the order of the arrays.
        bones: Pairs of names that drawings connect.
        mirrored: Pairs of joints that mirroring swaps, by name; those whose names
            differ in ``left`` and ``right`` alone need not be listed.
    """

    name: str
    joint_names: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    mirrored: tuple[tuple[str, str], ...] = ()

    @property
    def num_joints(self) -> int:
        """The number of joints."""
        return len(self.joint_names)

    @cached_property
    def skeleton(self) -> tuple[tuple[int, int], ...]:
        """The bones as indices."""
        return tuple((self.index(one), self.index(other)) for one, other in self.bones)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """Joint that takes the place of each joint in the mirrored pose."""
        partners = dict(self.mirrored) | {b: a for a, b in self.mirrored}
        return tuple(
            self.index(partners.get(name, _other_side(name)))
            for name in self.joint_names
        )

    @property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """Mirrored joints as pairs of indices, the smaller first."""
        return tuple((i, j) for i, j in enumerate(self.flip_indices) if i < j)

    def index(self, joint: str) -> int:
        """Place of a joint.

        Raises:
            ValueError: The set has no such joint.
        """
        if joint not in self.joint_names:
            raise ValueError(f'{self.name} has no joint {joint!r}')
        return self.joint_names.index(joint)

    def side(self, joint: int) -> str:
        """``'left'``, ``'right'``, or ``''`` for a joint of the middle."""
        found = re.search('left|right', self.joint_names[joint])
        return found[0] if found else ''


def _other_side(name: str) -> str:
    swapped = {'left': 'right', 'right': 'left'}
    return re.sub('left|right', lambda found: swapped[found[0]], name)


def _both(*names: str) -> tuple[str, ...]:
    return tuple(f'{side}_{name}' for name in names for side in ('left', 'right'))


def _chains(*chains: str) -> tuple[tuple[str, str], ...]:
    """Bones along chains of names; a name with ``*`` stands for both sides."""
    bones = []
    for chain in chains:
        sides = ('left', 'right') if '*' in chain else ('',)
        for side in sides:
            names = chain.replace('*', side).split()
            bones += list(itertools.pairwise(names))
    return tuple(dict.fromkeys(bones))


_COCO = (
    'nose',
    *_both('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'),
)
_FACE = _chains('left_eye right_eye', 'nose *_eye *_ear *_shoulder')
_COCO_BONES = (
    *_chains('*_ankle *_knee *_hip *_shoulder *_elbow *_wrist'),
    *_chains('left_hip right_hip', 'left_shoulder right_shoulder'),
    *_FACE,
)
_EYE = ('eye_inner', 'eye', 'eye_outer')
_TOES = ('big_toe', 'small_toe', 'heel')
_FEET = tuple(bone for toe in _TOES for bone in _chains(f'*_ankle *_{toe}'))


def _finger(side: str, name: str) -> str:
    return f'{side}_{"hand_root" if name == "wrist" else name}'


_HAND_BONES = tuple(
    (hand.JOINT_NAMES[a], hand.JOINT_NAMES[b]) for a, b in hand.SKELETON
)
_FACE_ROWS = (
    *(range(start, stop) for start, stop in ((0, 17), (17, 27), (31, 36))),
    (36, 37, 38, 39, 42, 43, 44, 45),
    (41, 40, 47, 46),
    *(range(start, stop) for start, stop in ((48, 55), (55, 60), (60, 65), (65, 68))),
)
"""Points of the 68 of a face in rows that mirroring turns round."""


def _rows_turned() -> tuple[tuple[str, str], ...]:
    return tuple(
        (f'face-{one}', f'face-{other}')
        for row in _FACE_ROWS
        for one, other in zip(row, reversed(row), strict=True)
        if one != other
    )


_MEDIAPIPE = (
    'nose',
    *(f'{side}_{eye}' for side in ('left', 'right') for eye in _EYE),
    *_both('ear'),
    *('mouth_left', 'mouth_right'),
    *_both('shoulder', 'elbow', 'wrist', 'pinky', 'index', 'thumb'),
    *_both('hip', 'knee', 'ankle', 'heel', 'foot_index'),
)
_MEDIAPIPE_BONES = (
    *_chains('nose *_eye_inner *_eye *_eye_outer *_ear', 'mouth_left mouth_right'),
    *_chains('*_ankle *_knee *_hip *_shoulder *_elbow *_wrist'),
    *_chains('left_hip right_hip', 'left_shoulder right_shoulder'),
    *_chains('*_wrist *_pinky *_index *_wrist', '*_wrist *_thumb'),
    *_chains('*_ankle *_heel *_foot_index *_ankle'),
)
_HALPE26 = (
    *_COCO,
    *('head', 'neck', 'hip'),
    *_both('big_toe', 'small_toe', 'heel'),
)
_HALPE26_BONES = (
    *_chains('*_ankle *_knee *_hip hip neck head'),
    *_chains('neck *_shoulder *_elbow *_wrist'),
    *_FACE,
    *_FEET,
)
_WHOLEBODY = (
    *_COCO,
    *(f'{side}_{toe}' for side in ('left', 'right') for toe in _TOES),
    *(f'face-{point}' for point in range(68)),
    *(_finger(side, name) for side in ('left', 'right') for name in hand.JOINT_NAMES),
)
_WHOLEBODY_BONES = (
    *_COCO_BONES,
    *_FEET,
    *(
        (_finger(side, one), _finger(side, other))
        for side in ('left', 'right')
        for one, other in _HAND_BONES
    ),
)


def _bones_of(
    names: tuple[str, ...], skeleton: tuple[tuple[int, int], ...]
) -> tuple[tuple[str, str], ...]:
    return tuple((names[one], names[other]) for one, other in skeleton)


_MPI_BONES = (
    *_chains('head_top head neck spine root'),
    *_chains('neck *_shoulder *_elbow *_wrist', 'root *_hip *_knee *_ankle'),
)

JOINT_SETS = {
    joint_set.name: joint_set
    for joint_set in (
        JointSet('h36m', h36m.JOINT_NAMES, _bones_of(h36m.JOINT_NAMES, h36m.SKELETON)),
        JointSet('coco', _COCO, _COCO_BONES),
        JointSet('halpe26', _HALPE26, _HALPE26_BONES),
        JointSet('coco_wholebody', _WHOLEBODY, _WHOLEBODY_BONES, _rows_turned()),
        JointSet('mediapipe_pose', _MEDIAPIPE, _MEDIAPIPE_BONES),
        JointSet('mpi_inf_3dhp', mpi_inf_3dhp.JOINT_NAMES, _MPI_BONES),
        JointSet('op21', hand.JOINT_NAMES, _bones_of(hand.JOINT_NAMES, hand.SKELETON)),
    )
}
"""Joint sets by name.

``'h36m'``
    Human3.6M, 17 joints: what the lifters of this package take.
``'coco'``
    COCO, 17 joints: nose, eyes, ears, and the joints of arms and legs.
``'halpe26'``
    Halpe, 26 joints: COCO's, head's top, neck, hip, and the feet.
``'coco_wholebody'``
    COCO-WholeBody, 133 joints: COCO's, feet, face, both hands.
``'mediapipe_pose'``
    MediaPipe's pose landmarks, 33 joints.
``'mpi_inf_3dhp'``
    MPI-INF-3DHP's test set, 17 joints.
``'op21'``
    One hand, 21 joints; see :mod:`mmssm.structures.hand`.
"""


def get_joint_set(name: str) -> JointSet:
    """The joint set of a name.

    Args:
        name: A key of :data:`JOINT_SETS`.

    Raises:
        ValueError: There is no such set; the message lists those that there are.
    """
    if name not in JOINT_SETS:
        raise ValueError(
            f'there is no joint set {name!r}; expected one of '
            f'{", ".join(sorted(JOINT_SETS))}'
        )
    return JOINT_SETS[name]


def joint_set_of(names: Sequence[str]) -> str | None:
    """Name of the set that has these joints in this order, or None."""
    for joint_set in JOINT_SETS.values():
        if joint_set.joint_names == tuple(names):
            return joint_set.name
    return None
