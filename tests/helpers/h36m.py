"""Small sets in the files of MMPose's Human3.6M dataset."""

import pickle

import numpy as np

from mmssm.datasets.virtual_cameras import fixed_camera
from mmssm.geometry.cameras import project


def video(name, frames, seed=0):
    """Arrays of one video, such as ``'S1_Walk_1.54138969'``."""
    rng = np.random.default_rng(seed)
    camera = fixed_camera(0)
    joints = np.array([0, 0, 5.0]) + rng.normal(size=(frames, 17, 3)) * 0.3
    ones = np.ones((frames, 17, 1))
    keypoints = project(joints, camera['f'], camera['c'])
    subject = name.split('_')[0]
    return {
        'imgname': np.array(
            [f'{subject}/{name}/{name}_{i + 1:06d}.jpg' for i in range(frames)]
        ),
        'center': keypoints.mean(1),
        'scale': np.full(frames, 2.0),
        'part': np.concatenate([keypoints, ones], -1),
        'S': np.concatenate([joints, ones], -1),
    }


def videos(**frames_of):
    """Arrays of several videos; double underscores stand for the dot."""
    parts = [
        video(name.replace('__', '.'), frames, seed)
        for seed, (name, frames) in enumerate(frames_of.items())
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def write(folder, arrays, cameras=None):
    """Writes ``train.npz`` and ``cameras.pkl``; returns the dataset's arguments."""
    np.savez(folder / 'train.npz', **arrays)
    if cameras is None:
        cameras = {
            (
                str(name).split('/')[0],
                str(name).split('.')[1].split('/')[0],
            ): fixed_camera(0)
            for name in arrays['imgname']
        }
    with open(folder / 'cameras.pkl', 'wb') as file:
        pickle.dump(cameras, file)
    return {
        'data_root': str(folder),
        'ann_file': 'train.npz',
        'camera_param_file': 'cameras.pkl',
    }
