"""Small sets in HO-3D's and H2O-3D's layouts."""

import pickle

import numpy as np

from helpers import hands

FRAMES = ('SM1/0000', 'SM1/0001', 'ABF10/0003')
FOCAL = 610
OPENGL = np.array([1.0, -1.0, -1.0])
K = hands.camera(640, 480, FOCAL)


def meta(rng, prefix, side, split, annotated=True):
    """What a frame's pickle says of one hand, as the official files do."""
    joints = hands.as_order(hands.pose(rng, side) / 1000, 'mano') * OPENGL
    joints = joints.astype(np.float32)
    if not annotated:
        return {f'{prefix}Joints3D': None, f'{prefix}Pose': None}
    if split == 'evaluation':
        box = [200, 100, 400, 350]
        return {f'{prefix}Joints3D': joints[0], f'{prefix}BoundingBox': box}
    return {
        f'{prefix}Joints3D': joints,
        f'{prefix}Pose': rng.normal(0, 0.5, 48).astype(np.float32),
        f'{prefix}Trans': rng.normal(size=3).astype(np.float32),
    }


def data(version='v3', split='train', seed=0):
    """Contents of the pickles by frame; the second is not annotated."""
    rng = np.random.default_rng(seed)
    sides = {'hand': 'right'}
    if version == 'h2o3d':
        sides = {'rightHand': 'right', 'leftHand': 'left'}
    frames = {}
    for number, name in enumerate(FRAMES):
        contents = {
            'camMat': K.astype(np.float64),
            'handBeta': rng.normal(size=10).astype(np.float32),
            'objName': '003_cracker_box',
            'objRot': None if number == 1 else np.zeros((3, 1)),
        }
        for prefix, side in sides.items():
            contents |= meta(rng, prefix, side, split, number != 1)
        frames[name] = contents
    return frames


def write(folder, frames=None, version='v3', split='train'):
    """Writes a set; returns the dataset's arguments."""
    frames = data(version, split) if frames is None else frames
    ending = 'png' if version == 'v2' else 'jpg'
    for name, contents in frames.items():
        sequence, frame = name.split('/')
        where = folder / split / sequence
        (where / 'meta').mkdir(parents=True, exist_ok=True)
        (where / 'meta' / f'{frame}.pkl').write_bytes(pickle.dumps(contents, 2))
        hands.save_image(where / 'rgb' / f'{frame}.{ending}', 640, 480)
    (folder / f'{split}.txt').write_text('\n'.join(frames) + '\n')
    return {'data_root': str(folder), 'version': version, 'split': split}
