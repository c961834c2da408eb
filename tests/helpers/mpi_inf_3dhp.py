"""Small files in the layouts of MPI-INF-3DHP's annotations."""

import numpy as np

TRAIN = {'S1 Seq1': (31, ('0', '8')), 'S3 Seq2': (12, ('4',))}
TEST = {'TS1': (40, 25), 'TS5': (14, 9)}
"""Frames and cameras, or frames and how many of them are valid."""


def joints(frames, rng):
    """Pixels and millimetres of a person 3 to 4 m away."""
    three = np.array([0, 0, 3500.0]) + 300 * rng.standard_normal((frames, 17, 3))
    return 1500 * three[..., :2] / three[..., 2:] + 1024, three


def shot(frames, rng, valid=None):
    """One video in P-STMO's files."""
    two, three = joints(frames, rng)
    entry = {'data_2d': two, 'data_3d': three}
    if valid is not None:
        flags = np.zeros(frames)
        flags[rng.permutation(frames)[:valid]] = 1
        entry['valid'] = flags
    return entry


def train_data(sequences=None, seed=0):
    """What P-STMO's training file holds."""
    rng = np.random.default_rng(seed)
    return {
        name: [{camera: shot(frames, rng) for camera in cameras}, 25]
        for name, (frames, cameras) in (sequences or TRAIN).items()
    }


def test_data(sequences=None, seed=1):
    """What P-STMO's test file holds."""
    rng = np.random.default_rng(seed)
    return {
        name: shot(frames, rng, valid)
        for name, (frames, valid) in (sequences or TEST).items()
    }


test_data.__test__ = False


def write(folder, train=None, test=None):
    """Writes both of P-STMO's files; returns the dataset's ``data_root``."""
    np.savez_compressed(
        folder / 'data_train_3dhp.npz',
        data=np.array(train_data() if train is None else train, dtype=object),
    )
    np.savez_compressed(
        folder / 'data_test_3dhp.npz',
        data=np.array(test_data() if test is None else test, dtype=object),
    )
    return {'data_root': str(folder)}


def converted(data):
    """The same videos in the arrays of MMPose's converter."""
    arrays = {'imgname': [], 'part': [], 'S': []}
    for key, entry in data.items():
        shots = {key: entry}
        if not key.startswith('TS'):
            name = key.replace(' ', '_')
            shots = {f'{name}_Cam{cam}': one for cam, one in entry[0].items()}
        for name, one in shots.items():
            frames = np.flatnonzero(one.get('valid', np.ones(len(one['data_2d']))))
            ones = np.ones((len(frames), 17, 1))
            arrays['imgname'] += [f'{name}_{frame + 1:06d}.jpg' for frame in frames]
            arrays['part'].append(np.concatenate([one['data_2d'][frames], ones], -1))
            arrays['S'].append(
                np.concatenate([one['data_3d'][frames] / 1000, ones], -1)
            )
    return {
        'imgname': np.array(arrays['imgname']),
        'part': np.concatenate(arrays['part']),
        'S': np.concatenate(arrays['S']),
    }
