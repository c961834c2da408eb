"""Small sets in DexYCB's layout."""

import numpy as np
import yaml

from helpers import hands
from mmssm.datasets import dexycb_files

FOCAL = 600
SEQUENCES = ('20200101_000001', '20200101_000002')
CAMERAS = (0, 7)


def K_of(camera):
    """The camera's matrix."""
    return hands.camera(640, 480, FOCAL + camera)


def side_of(subject, place):
    """Which hand a recording shows."""
    return 'right' if (subject + place) % 2 == 0 else 'left'


def label(rng, camera, side, there=True):
    """Arrays of one label file."""
    joints = -np.ones((21, 3))
    pixels = -np.ones((21, 2))
    if there:
        joints = hands.pose(rng, side)
        pixels = hands.project(joints, K_of(camera))
        joints = joints / 1000
    return {
        'seg': np.zeros((48, 64), np.uint8),
        'pose_y': np.zeros((1, 3, 4), np.float32),
        'pose_m': (there * rng.normal(size=(1, 51))).astype(np.float32),
        'joint_3d': joints[None].astype(np.float32),
        'joint_2d': pixels[None].astype(np.float32),
    }


def write(folder, subjects=(0, 6, 7), frames=2, cameras=CAMERAS, images=True):
    """Writes a part of the data set; returns the dataset's arguments.

    The last frame of the last camera of each recording shows no hand.
    """
    rng = np.random.default_rng(0)
    for camera in cameras:
        K = K_of(camera)
        path = folder / 'calibration/intrinsics'
        path.mkdir(parents=True, exist_ok=True)
        color = {'fx': K[0, 0], 'fy': K[1, 1], 'ppx': K[0, 2], 'ppy': K[1, 2]}
        color = {key: float(value) for key, value in color.items()}
        text = yaml.safe_dump({'color': color, 'depth': color})
        (path / f'{dexycb_files.SERIALS[camera]}_640x480.yml').write_text(text)
    for subject in subjects:
        for place, name in enumerate(SEQUENCES):
            where = folder / dexycb_files.SUBJECTS[subject] / name
            side = side_of(subject, place)
            where.mkdir(parents=True, exist_ok=True)
            calibration = f'{dexycb_files.SUBJECTS[subject]}_{side}'
            meta = {
                'num_frames': frames,
                'mano_sides': [side],
                'mano_calib': [calibration],
                'ycb_ids': [1, 2],
            }
            path = folder / f'calibration/mano_{calibration}/mano.yml'
            path.parent.mkdir(exist_ok=True)
            path.write_text(yaml.safe_dump({'betas': [0.1 * subject] * 10}))
            (where / 'meta.yml').write_text(yaml.safe_dump(meta))
            for camera in cameras:
                serial = where / dexycb_files.SERIALS[camera]
                serial.mkdir(exist_ok=True)
                for frame in range(frames):
                    there = (camera, frame) != (cameras[-1], frames - 1)
                    arrays = label(rng, camera, side, there)
                    np.savez(serial / f'labels_{frame:06d}.npz', **arrays)
                    if images:
                        hands.save_image(serial / f'color_{frame:06d}.jpg', 640, 480)
    return {'data_root': str(folder), 'partial': True}


def index(sequences=100, frames=1):
    """Arrays of an index of the whole data set with few frames."""
    rng = np.random.default_rng(0)
    subject, place = np.divmod(np.arange(10 * sequences), sequences)
    number, camera, frame = np.indices((len(subject), 8, frames)).reshape(3, -1)
    joints = np.stack([hands.pose(rng) / 1000 for _ in range(5)]).astype(np.float32)
    joints = joints[np.arange(len(number)) % 5]
    matrices = np.stack([K_of(one) for one in range(8)])
    pixels = np.stack(
        [hands.project(*pair) for pair in zip(joints, matrices[camera], strict=True)]
    )
    return {
        'sequence': number,
        'camera': camera,
        'frame': frame,
        'joint_3d': joints,
        'joint_2d': pixels.astype(np.float32),
        'pose_m': rng.normal(size=(len(number), 51)).astype(np.float32),
        'subject': subject,
        'place': place,
        'name': np.array(
            [f's{s}/{p:03d}' for s, p in zip(subject, place, strict=True)]
        ),
        'frames': np.full(len(subject), frames),
        'right': place % 2 == 0,
        'betas': np.zeros((len(subject), 10)),
        'intrinsics': matrices[:, [0, 1, 0, 1], [0, 1, 2, 2]],
    }
