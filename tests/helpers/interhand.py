"""Small sets in InterHand2.6M's layout."""

import json

import numpy as np

from helpers import hands

SIZES = ((64, 96), (96, 64))
TYPES = ('right', 'left', 'interacting', 'right')


def data(count=4, seed=0):
    """Contents of the three annotation files: data, camera, joint_3d."""
    rng = np.random.default_rng(seed)
    images, annotations, cameras, joints = [], [], {}, {}
    for i in range(count):
        width, height = SIZES[i % 2]
        kind, capture, camera, frame = TYPES[i % 4], i % 2, f'4000{i}', 100 + i
        K = hands.camera(width, height)
        turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turned *= np.sign(np.linalg.det(turned))
        centre = rng.normal(size=3) * 500
        both = np.concatenate(
            [
                hands.as_order(hands.pose(rng, side, 900), 'interhand')
                for side in ('right', 'left')
            ]
        )
        valid = np.repeat([kind != 'left', kind != 'right'], 21)
        pixels = hands.project(both, K)[valid]
        world = both @ turned + centre
        world[~valid] = 1
        low, high = pixels.min(0) - 2, pixels.max(0) + 2
        images.append(
            {
                'id': 7 * i + 3,
                'file_name': f'Capture{capture}/0000_pose/cam{camera}/image{frame}.jpg',
                'width': width,
                'height': height,
                'capture': capture,
                'subject': 0,
                'seq_name': '0000_pose',
                'camera': camera,
                'frame_idx': frame,
            }
        )
        annotations.append(
            {
                'id': 7 * i + 3,
                'image_id': 7 * i + 3,
                'bbox': [*low, *(high - low)],
                'joint_valid': valid[:, None].astype(int).tolist(),
                'hand_type': kind,
                'hand_type_valid': 1,
            }
        )
        one = cameras.setdefault(
            str(capture), {key: {} for key in ('campos', 'camrot', 'focal', 'princpt')}
        )
        one['campos'][camera] = centre.tolist()
        one['camrot'][camera] = turned.tolist()
        one['focal'][camera] = K[[0, 1], [0, 1]].tolist()
        one['princpt'][camera] = K[:2, 2].tolist()
        joints.setdefault(str(capture), {})[str(frame)] = {
            'world_coord': world.tolist(),
            'joint_valid': valid[:, None].tolist(),
            'hand_type': kind,
            'hand_type_valid': True,
        }
    return {
        'data': {'images': images, 'annotations': annotations},
        'camera': cameras,
        'joint_3d': joints,
    }


def write(folder, contents=None, split='train', images=True):
    """Writes annotations and images; returns the dataset's arguments."""
    contents = data() if contents is None else contents
    where = folder / 'annotations' / split
    where.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (where / f'InterHand2.6M_{split}_{name}.json').write_text(json.dumps(content))
    for image in contents['data']['images'] if images else ():
        path = folder / 'images' / split / image['file_name']
        hands.save_image(path, image['width'], image['height'], image['id'])
    stem = f'annotations/{split}/InterHand2.6M_{split}'
    return {
        'data_root': str(folder),
        'data_prefix': {'img': f'images/{split}/'},
        'ann_file': f'{stem}_data.json',
        'camera_param_file': f'{stem}_camera.json',
        'joint_file': f'{stem}_joint_3d.json',
    }
