"""The 17 joints of MPI-INF-3DHP's test set, and their place in Human3.6M's order.

Names and order are those of MMPose's ``configs/_base_/datasets/mpi_inf_3dhp.py``
(a test holds them to that).
"""

import numpy as np

from mmssm.structures import h36m

JOINT_NAMES = (
    'head_top',
    'neck',
    'right_shoulder',
    'right_elbow',
    'right_wrist',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
    'right_hip',
    'right_knee',
    'right_ankle',
    'left_hip',
    'left_knee',
    'left_ankle',
    'root',
    'spine',
    'head',
)
"""Joint names in the order of the annotations."""

_OTHER_NAMES = {
    'right_foot': 'right_ankle',
    'left_foot': 'left_ankle',
    'thorax': 'neck',
    'neck_base': 'head',
    'head': 'head_top',
}

TO_H36M = tuple(
    JOINT_NAMES.index(_OTHER_NAMES.get(name, name)) for name in h36m.JOINT_NAMES
)
"""``h36m_pose = pose[..., TO_H36M, :]``."""

EVALUATED = tuple(
    joint
    for joint, name in enumerate(h36m.JOINT_NAMES)
    if _OTHER_NAMES.get(name, name) not in ('root', 'spine', 'head')
)
"""The 14 joints of the official PCK and AUC, as indices in Human3.6M's order."""


def to_h36m(joints: np.ndarray) -> np.ndarray:
    """Brings joints ``(..., 17, C)`` to Human3.6M's order."""
    return joints[..., list(TO_H36M), :]
