"""Small files in the layout of MotionBERT's Human3.6M pickle."""

import pickle

import numpy as np

CAMERAS = {1: '54138969', 2: '55011271', 3: '58860488', 4: '60457274'}
ACTIONS = {2: 'Direction', 5: 'Greet', 10: 'SittingDown', 13: 'Wait', 14: 'Walk'}


def video(subject, act, take, camera, frames, rng):
    """Arrays of one video; its 2.5D joints are consistent with its factor."""
    image = np.concatenate(
        [
            500 + 100 * rng.standard_normal((frames, 17, 2)),
            50 * rng.standard_normal((frames, 17, 1)),
        ],
        -1,
    )
    image[:, 0, 2] = 0
    factor = rng.uniform(3, 6, frames)
    name = f's_{subject:02d}_act_{act:02d}_subact_{take:02d}_ca_{camera:02d}'
    return {
        'joint_2d': image[..., :2] + rng.standard_normal((frames, 17, 2)),
        'confidence': rng.uniform(0.5, 1, (frames, 17, 1)),
        'joint3d_image': image,
        'camera_name': np.array([CAMERAS[camera]] * frames),
        'source': [name] * frames,
        'action': [ACTIONS[act]] * frames,
        '2.5d_factor': factor,
        'joints_2.5d_image': image * factor[:, None, None],
    }


def split(videos, seed=0):
    """One half of the file: ``[(subject, act, take, camera, frames), ...]``."""
    rng = np.random.default_rng(seed)
    parts = [video(*one, rng) for one in videos]
    joined = {}
    for key in parts[0]:
        if isinstance(parts[0][key], list):
            joined[key] = [item for part in parts for item in part[key]]
        else:
            joined[key] = np.concatenate([part[key] for part in parts])
    return joined


TRAIN = [(1, 2, 1, 1, 45), (1, 2, 2, 2, 13), (5, 14, 1, 4, 31)]
TEST = [(9, 5, 2, 1, 27), (9, 14, 1, 1, 40), (11, 13, 2, 3, 11), (11, 10, 1, 2, 30)]


def data(train=TRAIN, test=TEST):
    """The whole file; the train half lacks what the released one may lack."""
    halves = {'train': split(train, 0), 'test': split(test, 1)}
    for key in ('2.5d_factor', 'joints_2.5d_image'):
        halves['train'].pop(key)
    return halves


def write(folder, halves=None):
    """Writes ``h36m.pkl``; returns the dataset's arguments."""
    with open(folder / 'h36m.pkl', 'wb') as file:
        pickle.dump(data() if halves is None else halves, file)
    return {'data_root': str(folder), 'ann_file': 'h36m.pkl'}
