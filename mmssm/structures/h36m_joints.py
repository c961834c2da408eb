"""Other joint sets as Human3.6M's 17 joints.

Every joint of Human3.6M is the mean of one, two or four joints of the other set, so
that one table per set says everything. Formulas are those of MMPose's
``convert_keypoint_definition`` (COCO) and of MotionBERT's ``coco2h36m`` and
``halpe2h36m``:

============== ======================================== ==========================
Human3.6M      COCO, COCO-WholeBody, MediaPipe          Halpe-26
============== ======================================== ==========================
root           between the hips                         hip
spine          between root and thorax                  between hip and neck
thorax         between the shoulders                    neck
neck_base      nose                                     nose
head           between the eyes                         head
others         hip, knee, ankle, shoulder, the same
               elbow, wrist **of the same side**
============== ======================================== ==========================

Human3.6M lists the right leg before the left one (1..3, then 4..6) and the left arm
before the right one (11..13, then 14..16); COCO lists left before right throughout.
Converters are in circulation that put COCO's left leg, 11, 13, 15, in the places
1, 2, 3 of the right one: lifted with them, people walk mirrored, or face away.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mmssm.structures import h36m, mpi_inf_3dhp
from mmssm.structures.joint_sets import get_joint_set
from mmssm.structures.tracks import KeypointSequence, KeypointTrack

_LIMBS = {
    name: (name.replace('foot', 'ankle'),)
    for name in h36m.JOINT_NAMES
    if name.startswith(('left_', 'right_'))
}
_HIPS = ('left_hip', 'right_hip')
_SHOULDERS = ('left_shoulder', 'right_shoulder')

_FROM_COCO = {
    **_LIMBS,
    'root': _HIPS,
    'spine': (*_HIPS, *_SHOULDERS),
    'thorax': _SHOULDERS,
    'neck_base': ('nose',),
    'head': ('left_eye', 'right_eye'),
}

FORMULAS: dict[str, dict[str, tuple[str, ...]]] = {
    'h36m': {name: (name,) for name in h36m.JOINT_NAMES},
    'coco': _FROM_COCO,
    'coco_wholebody': _FROM_COCO,
    'mediapipe_pose': _FROM_COCO,
    'halpe26': {
        **_LIMBS,
        'root': ('hip',),
        'spine': ('hip', 'neck'),
        'thorax': ('neck',),
        'neck_base': ('nose',),
        'head': ('head',),
    },
    'mpi_inf_3dhp': {
        name: (mpi_inf_3dhp.JOINT_NAMES[place],)
        for name, place in zip(h36m.JOINT_NAMES, mpi_inf_3dhp.TO_H36M, strict=True)
    },
}
"""By joint set: the joints whose mean each joint of Human3.6M is."""


def h36m_weights(joint_set: str) -> NDArray[np.float32]:
    """The weights that make Human3.6M's joints of another set's.

    Args:
        joint_set: Name of the other set.

    Returns:
        ``(17, J)``, rows that sum to 1: ``h36m_pose = weights @ pose``.

    Raises:
        ValueError: There is no such set, or it has no body.
    """
    joints = get_joint_set(joint_set)
    if joint_set not in FORMULAS:
        raise ValueError(
            f'the joints of {joint_set} cannot be brought to h36m; those of '
            f'{", ".join(sorted(FORMULAS))} can'
        )
    weights = np.zeros((h36m.NUM_JOINTS, joints.num_joints), np.float32)
    for row, name in enumerate(h36m.JOINT_NAMES):
        sources = FORMULAS[joint_set][name]
        weights[row, [joints.index(source) for source in sources]] = 1 / len(sources)
    return weights


def convert_to_h36m(
    keypoints: NDArray, scores: NDArray, joint_set: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Brings 2D joints to Human3.6M's 17.

    Args:
        keypoints: ``(..., J, 2)`` pixels; NaN is a missing joint.
        scores: ``(..., J)``; 0 for a missing joint.
        joint_set: Name of the set they are in.

    Returns:
        Keypoints ``(..., 17, 2)`` and scores ``(..., 17)``. Scores are means as
        positions are. A joint of which any part is missing (NaN, or score 0) is
        missing: NaN and score 0.

    Raises:
        ValueError: There is no such set, it has no body, or J is not its size.
    """
    weights = h36m_weights(joint_set)
    keypoints, scores = np.asarray(keypoints), np.asarray(scores)
    if keypoints.shape[-2:] != (weights.shape[1], 2):
        raise ValueError(
            f'keypoints of {joint_set} must be (..., {weights.shape[1]}, 2), got '
            f'{keypoints.shape}'
        )
    if scores.shape != keypoints.shape[:-1]:
        raise ValueError(
            f'scores must be {keypoints.shape[:-1]} to go with keypoints, got '
            f'{scores.shape}'
        )
    missing = np.isnan(keypoints).any(-1) | ~(scores > 0)
    lost = missing.astype(np.float32) @ (weights > 0).T.astype(np.float32) > 0
    known = np.where(missing[..., None], 0, keypoints).astype(np.float32)
    placed = np.where(lost[..., None], np.nan, weights @ known)
    rated = np.where(lost, 0, np.where(missing, 0, scores) @ weights.T)
    return placed.astype(np.float32), rated.clip(0, 1).astype(np.float32)


def to_h36m(sequence: KeypointSequence) -> KeypointSequence:
    """Brings the tracks of a sequence to Human3.6M's 17 joints.

    Args:
        sequence: Tracks of any body's joint set of :data:`FORMULAS`.

    Returns:
        The same people, frames and boxes with other joints. Of MPI-INF-3DHP and
        Human3.6M joints are reordered, of the others some are derived; see the
        module. Joints that are missing, or derived from missing ones, are missing.

    Raises:
        ValueError: The joint set has no body.
    """
    if sequence.joint_set == 'h36m':
        return sequence
    h36m_weights(sequence.joint_set)
    tracks = [_convert(track, sequence.joint_set) for track in sequence.tracks]
    return replace(sequence, tracks=tracks, joint_set='h36m')


def _convert(track: KeypointTrack, joint_set: str) -> KeypointTrack:
    keypoints, scores = convert_to_h36m(track.keypoints, track.scores, joint_set)
    return replace(track, keypoints=keypoints, scores=scores)
