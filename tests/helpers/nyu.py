"""Small sets in NYU's layout."""

import numpy as np
from PIL import Image
from scipy.io import savemat

from helpers import hands
from mmssm.structures.hand import NYU_EVALUATED

FOCAL = np.array([588.03, 587.07])
PRINCIPAL = np.array([320.0, 240.0])
SIZE = (640, 480)


def to_pixels(joints):
    """Pixels and millimetres of millimetres, camera frame, y down."""
    return np.concatenate(
        [joints[..., :2] / joints[..., 2:] * FOCAL + PRINCIPAL, joints[..., 2:]], -1
    )


def data(count=3, seed=0):
    """Arrays of ``joint_data.mat``: three views, 36 joints."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((3, count, 36, 3))
    for view in range(3):
        for frame in range(count):
            pose = hands.pose(rng, depth=750)
            joints[view, frame] = pose[rng.integers(21, size=36)]
            joints[view, frame, list(NYU_EVALUATED.values())] = pose[
                [20, 18, 16, 14, 12, 10, 8, 6, 4, 3, 1, 0, 0, 9]
            ]
    return {'joint_uvd': to_pixels(joints), 'joint_xyz': joints * [1, -1, 1]}


def centers(arrays, shift=10.0):
    """Array of a file of centres: near the palm of the first view."""
    palm = arrays['joint_uvd'][0, :, NYU_EVALUATED['palm']]
    return {'centre_pixel': (palm + np.array([0, 0, shift]))[:, None]}


def depth_image(uvd, background=2000):
    """Depth, millimetres, with a square of the joint's depth at each joint."""
    depth = np.full((SIZE[1], SIZE[0]), background, np.int32)
    depth[:20] = 0
    for u, v, d in uvd[np.argsort(-uvd[:, 2])]:
        column, row = round(u), round(v)
        depth[max(row - 6, 0) : row + 7, max(column - 6, 0) : column + 7] = round(d)
    return depth


def save_depth(path, depth):
    """Writes millimetres in green (high byte) and blue (low byte)."""
    channels = np.zeros((*depth.shape, 3), np.uint8)
    channels[..., 1], channels[..., 2] = depth // 256, depth % 256
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(channels).save(path)


def write(folder, arrays=None, split='train', view=1):
    """Writes annotations, centres and images; returns the dataset's arguments."""
    arrays = data() if arrays is None else arrays
    (folder / split).mkdir(parents=True, exist_ok=True)
    savemat(folder / split / 'joint_data.mat', arrays)
    savemat(folder / f'nyu_center_{split}.mat', centers(arrays))
    for number, uvd in enumerate(arrays['joint_uvd'][view - 1]):
        path = folder / split / f'depth_{view}_{number + 1:07d}.png'
        save_depth(path, depth_image(uvd[list(NYU_EVALUATED.values())]))
    return {'data_root': str(folder), 'split': split}
