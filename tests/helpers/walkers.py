"""2D tracks of people who walk, and their truth in 3D."""

import numpy as np

from mmssm.datasets.datasets.mocap_dataset import film_frames
from mmssm.datasets.mocap_clips import load_mocap_clips, mocap_file
from mmssm.datasets.virtual_cameras import FIXED_ROOM, clearance, fixed_camera
from mmssm.structures.tracks import KeypointSequence, KeypointTrack

SIZE = (1000, 1000)


def film(num_frames, clip='walk', view=0):
    """Pixels ``(T, 17, 2)`` and joints before the camera ``(T, 17, 3)``, metres.

    A clip that is too short is played backwards and forwards.
    """
    joints = load_mocap_clips(mocap_file())[clip].joints
    turn = 2 * len(joints) - 2
    place = np.arange(num_frames) % turn
    joints = joints[np.minimum(place, turn - place)]
    camera = fixed_camera(view, clearance(joints, np.zeros(3), FIXED_ROOM))
    frames = film_frames(joints, camera)
    return frames['keypoints'], frames['keypoints_3d']


def sequence(num_frames, clips=('walk',), noise=0.0, **changes):
    """A sequence of one person per clip."""
    rng = np.random.default_rng(0)
    tracks = []
    for number, clip in enumerate(clips):
        keypoints, _ = film(num_frames, clip)
        keypoints = keypoints + rng.normal(0, noise, keypoints.shape)
        scores = np.full(keypoints.shape[:2], 0.9)
        tracks.append(KeypointTrack(number, np.arange(num_frames), keypoints, scores))
    values = dict(
        tracks=tracks,
        joint_set='h36m',
        image_size=SIZE,
        fps=50.0,
        num_frames=num_frames,
        source='walkers',
    )
    return KeypointSequence(**(values | changes))
