"""A walk of the embedded motion data, seen by a camera, in other joint sets.

Places of the joints are written down here once more, by number, from the
definitions of the data sets: they owe nothing to the tables under test.
"""

import numpy as np

from mmssm.datasets.mocap_clips import load_mocap_clips, mocap_file
from mmssm.geometry.cameras import look_at, project, world_to_camera

IMAGE_SIZE = (640, 480)

# Human3.6M: root, right leg, left leg, spine, thorax, neck, head, left and right arm
COCO_OF_H36M = {
    0: 9,
    **{1: 10, 2: 10},  # both eyes at the head: their mean is the head
    **{5: 11, 7: 12, 9: 13, 11: 4, 13: 5, 15: 6},
    **{6: 14, 8: 15, 10: 16, 12: 1, 14: 2, 16: 3},
}
HALPE26_OF_H36M = {**COCO_OF_H36M, 17: 10, 18: 8, 19: 0}
MEDIAPIPE_OF_H36M = {
    0: 9,
    **{2: 10, 5: 10},
    **{11: 11, 13: 12, 15: 13, 23: 4, 25: 5, 27: 6},
    **{12: 14, 14: 15, 16: 16, 24: 1, 26: 2, 28: 3},
}
MPI_OF_H36M = dict(
    enumerate([10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9])
)
PLACES = {
    'h36m': ({joint: joint for joint in range(17)}, 17),
    'coco': (COCO_OF_H36M, 17),
    'halpe26': (HALPE26_OF_H36M, 26),
    'coco_wholebody': (COCO_OF_H36M, 133),
    'mediapipe_pose': (MEDIAPIPE_OF_H36M, 33),
    'mpi_inf_3dhp': (MPI_OF_H36M, 17),
}
"""By joint set: which joint of Human3.6M stands where, and how many joints."""

EXACT = (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16)
"""Joints that every set has: those of arms and legs, nose and head."""


def walk(num_frames: int = 40) -> np.ndarray:
    """The walk: ``(F, 17, 3)`` metres; x is forward, y left, z up."""
    return load_mocap_clips(mocap_file())['walk'].joints[:num_frames]


def from_behind(joints: np.ndarray) -> np.ndarray:
    """Pixels ``(F, 17, 2)`` of a camera that looks the way the person walks.

    The person's right is then at the right of the picture.
    """
    middle = joints[:, 0].mean(0)
    position = middle + np.array([-6.0, 0.4, 0.3])
    rotation = look_at(position, middle)
    width, height = IMAGE_SIZE
    seen = world_to_camera(joints, rotation, position)
    return project(seen, np.array([600.0, 600.0]), np.array([width / 2, height / 2]))


def in_joint_set(pixels: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The walk as a joint set has it; its other joints are missing.

    Args:
        pixels: ``(F, 17, 2)`` in Human3.6M's order.
        name: Name of the joint set.

    Returns:
        Keypoints ``(F, J, 2)`` and scores ``(F, J)``.
    """
    places, num_joints = PLACES[name]
    keypoints = np.full((len(pixels), num_joints, 2), np.nan, np.float32)
    scores = np.zeros((len(pixels), num_joints), np.float32)
    for place, joint in places.items():
        keypoints[:, place] = pixels[:, joint]
        scores[:, place] = 0.5 + 0.02 * joint
    return keypoints, scores
