"""Small results of inferencers."""

import numpy as np

from mmssm.apis.results import (
    HandMeshResult,
    HandResult,
    LiftingResult,
    PersonResult,
)
from mmssm.structures import h36m


def person(track_id=0, frames=(0, 1, 2, 3), seed=0, placed=False):
    """A person of random joints."""
    rng = np.random.default_rng(seed)
    frames = np.asarray(frames)
    shape = (len(frames), h36m.NUM_JOINTS)
    return PersonResult(
        track_id=track_id,
        frames=frames,
        keypoints=rng.uniform(0, 100, (*shape, 2)),
        keypoint_scores=rng.uniform(0, 1, shape),
        keypoints_3d=rng.normal(0, 0.5, (*shape, 3)),
        root_position=rng.normal((0, 0, 4), 0.1, (len(frames), 3)) if placed else None,
        filled=np.arange(len(frames)) == 1,
        filled_joints=rng.uniform(0, 1, shape) < 0.1,
    )


def lifting_result(persons=None, **changes):
    """A result of two persons."""
    values = dict(
        persons=[person(0), person(3, (1, 2, 5), 1, placed=True)]
        if persons is None
        else persons,
        joint_names=h36m.JOINT_NAMES,
        skeleton_links=h36m.SKELETON,
        image_size=(100, 80),
        fps=25.0,
        num_frames=6,
        source='clip.mp4',
        model='posemamba-mocap-27frm',
        frontend='a file',
        notes=('person 3 is not seen in frames 3 to 4',),
        focal_length=128.0,
    )
    return LiftingResult(**(values | changes))


def hand(side='right', num_vertices=5, seed=0):
    """A hand of random vertices."""
    rng = np.random.default_rng(seed)
    return HandResult(
        side=side,
        bbox=np.array([10, 10, 50, 50]),
        keypoints=rng.uniform(10, 50, (21, 2)),
        keypoints_3d=rng.normal(0, 0.05, (21, 3)),
        vertices=rng.normal(0, 0.05, (num_vertices, 3)),
        camera_translation=np.array([0, 0, 0.6]),
        focal_length=np.array([100.0, 100.0]),
        principal_point=np.array([50.0, 40.0]),
        global_orient=rng.normal(size=3),
        hand_pose=rng.normal(size=(15, 3)),
        betas=rng.normal(size=10),
    )


def hand_mesh_result(**changes):
    """A result of two frames with hands and one without."""
    values = dict(
        frames=[[hand()], [], [hand('left', seed=1), hand(seed=2)]],
        faces=np.array([[0, 1, 2], [2, 3, 4]]),
        image_size=(100, 80),
        fps=None,
        source='folder',
        model='hamba-small-synthhand',
        frame_names=('a.jpg', 'b.jpg', 'c.jpg'),
    )
    return HandMeshResult(**(values | changes))
