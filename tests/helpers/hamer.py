"""Small sets in HaMeR's formats."""

import io
import pickle
import tarfile

import numpy as np
from PIL import Image

from helpers import hands

K = hands.camera(160, 120, 170)


def entry(rng, right=True, known=True, loss=100.0, confident=21):
    """One hand of a ``data.pyd``."""
    side = 'right' if right else 'left'
    joints = hands.pose(rng, side) / 1000
    pixels = hands.project(joints, K)
    sure = (np.arange(21) < confident)[:, None]
    info = {}
    if loss is not None:
        fit = np.empty((), object)
        fit[()] = {'reprojection_loss': np.float32(loss)}
        info = {'fitting_loss': fit}
    return {
        'keypoints_2d': np.concatenate([pixels, sure], 1).astype(np.float32),
        'keypoints_3d': np.concatenate([joints, sure], 1).astype(np.float32),
        'center': ((pixels.min(0) + pixels.max(0)) / 2).astype(np.float32),
        'scale': (2 * (pixels.max(0) - pixels.min(0)) / 200).astype(np.float32),
        'hand_pose': rng.normal(0, 0.4, 48).astype(np.float32),
        'betas': rng.normal(0, 0.5, 10).astype(np.float32),
        'has_hand_pose': np.array(float(known)),
        'has_betas': np.array([float(known)]),
        'right': np.array(float(right)),
        'extra_info': info,
    }


def picture(seed=0, mode='RGB'):
    """Bytes of a small jpg or, with transparency, png."""
    rng = np.random.default_rng(seed)
    channels = {'RGB': 3, 'RGBA': 4, 'L': 1}[mode]
    values = rng.integers(0, 255, (120, 160, channels)).astype(np.uint8).squeeze()
    buffer = io.BytesIO()
    kind = 'PNG' if mode == 'RGBA' else 'JPEG'
    Image.fromarray(values, mode).save(buffer, kind)
    return buffer.getvalue()


def members(seed=0, images=2):
    """Members of a tar, by name: two images, the second with two hands."""
    rng = np.random.default_rng(seed)
    found = {}
    for number in range(images):
        entries = [
            entry(rng, right=(number + one) % 2 == 0) for one in range(1, 2 + number)
        ]
        found[f'set/{number:03d}.jpg'] = picture(number)
        found[f'set/{number:03d}.data.pyd'] = pickle.dumps(entries)
    return found


def write_tar(path, contents=None, extra=()):
    """Writes a tar of members, and of further ``TarInfo``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, 'w') as tar:
        for name, data in (members() if contents is None else contents).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info)


def npz(count=3, seed=0):
    """Arrays of an evaluation file."""
    rng = np.random.default_rng(seed)
    entries = [entry(rng, right=number != 1) for number in range(count)]
    return {
        'imgname': np.array([f'rgb/{number}.jpg'.encode() for number in range(count)]),
        'center': np.stack([one['center'] for one in entries]),
        'scale': 200 * np.stack([one['scale'] for one in entries]),
        'right': np.array([float(one['right']) for one in entries]),
        'hand_pose': np.stack([one['hand_pose'] for one in entries]),
        'has_hand_pose': np.array([1.0, 1, 0]),
        'betas': np.stack([one['betas'] for one in entries]),
        'has_betas': np.array([1.0, 0, 0]),
        'hand_keypoints_2d': np.stack([one['keypoints_2d'] for one in entries]),
        'hand_keypoints_3d': np.stack([one['keypoints_3d'] for one in entries]),
        'extra_info': np.array([{'a': object} for _ in range(count)], dtype=object),
    }


def write_npz(folder, arrays=None):
    """Writes an evaluation file and images; returns the dataset's arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = npz() if arrays is None else arrays
    np.savez(folder / 'test.npz', **arrays)
    for number in range(len(arrays['center'])):
        hands.save_image(folder / f'images/rgb/{number}.jpg', 160, 120)
    return {'data_root': str(folder), 'ann_file': 'test.npz', 'img_dir': 'images'}
