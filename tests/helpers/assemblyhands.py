"""Small sets in AssemblyHands' layout."""

import json

import numpy as np

from helpers import hands

SIZE = (64, 48)
CAMERAS = ('HMC_21176875', 'HMC_21176623')
SEQUENCE = 'nusar-2021_action_both_9075-a30_9075_user_id_2021-02-05'
FOLDER = 'ego_images_rectified/train'
BOXES = (('right', 'left'), ('left',), (), ('right',))
"""Which hands of each image have a box."""


def data(seed=0):
    """Contents of the three annotation files: ego_data, ego_calib, joint_3d."""
    rng = np.random.default_rng(seed)
    images, annotations, joints = [], [], {}
    calibration = {'intrinsics': {}, 'extrinsics': {}}
    for i, there in enumerate(BOXES):
        frame, camera = f'{360 + 10 * (i // 2):06d}', CAMERAS[i % 2]
        name = f'{camera}_mono10bit'
        K = hands.camera(*SIZE, 50 + 5 * (i % 2))
        calibration['intrinsics'][name] = K.tolist()
        if frame not in joints:
            sides = [hands.pose(rng, side, 400) for side in ('right', 'left')]
            first = np.concatenate([hands.as_order(one, 'interhand') for one in sides])
            turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            turned *= np.sign(np.linalg.det(turned))
            world = (first - [90, -50, 20]) @ turned
            joints[frame] = {'world_coord': world.tolist(), 'joint_valid': [1] * 42}
        # the second camera is turned a little from the first
        rotation = hands.turn(0.1 * (i % 2)) @ turned
        shift = np.array([90.0, -50, 20 + 9 * (i % 2)])
        both = world @ rotation.T + shift
        pose = np.concatenate([rotation, shift[:, None]], 1)
        calibration['extrinsics'].setdefault(frame, {})[name] = pose.tolist()
        valid = np.ones(42, int)
        valid[[5, 21 + 6]] = 0
        boxes = {'right': None, 'left': None}
        for side in there:
            one = both[:21] if side == 'right' else both[21:]
            pixels = hands.project(one, K)
            boxes[side] = [*pixels.min(0), *pixels.max(0)]
        images.append(
            {
                'id': 5 * i,
                'file_name': f'{FOLDER}/{SEQUENCE}/{name}/{frame}.jpg',
                'width': SIZE[0],
                'height': SIZE[1],
                'seq_name': SEQUENCE,
                'camera': camera,
                'frame_idx': int(frame),
            }
        )
        annotations.append(
            {
                'id': 5 * i,
                'image_id': 5 * i,
                'joint_valid': valid.tolist(),
                'bbox': boxes,
            }
        )
    return {
        'ego_data': {'images': images, 'annotations': annotations},
        'ego_calib': {'calibration': {SEQUENCE: calibration}},
        'joint_3d': {'annotations': {SEQUENCE: joints}},
    }


def write(folder, contents=None, split='train', images=True):
    """Writes annotations and images; returns the dataset's arguments."""
    contents = data() if contents is None else contents
    where = folder / 'annotations' / split
    where.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (where / f'assemblyhands_{split}_{name}_v1-1.json').write_text(
            json.dumps(content)
        )
    for image in contents['ego_data']['images'] if images else ():
        hands.save_image(folder / 'images' / image['file_name'], *SIZE)
    return {'data_root': str(folder), 'split': split}
