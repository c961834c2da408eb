"""Small sets in HInt's layout."""

import json

import numpy as np

from helpers import hands

NAMES = ('a_l', 'b_r', 'c_r')


def data(seed=0, order='xyxy'):
    """Contents of the files by name."""
    rng = np.random.default_rng(seed)
    entries = {}
    for name in NAMES:
        keypoints = rng.uniform([100, 40], [220, 150], (21, 2))
        low, high = keypoints.min(0) - 2, keypoints.max(0) + 2
        box = [*low, *high] if order == 'xyxy' else [*low, *(high - low)]
        entries[name] = [
            {
                'keypoints': keypoints.tolist(),
                'occlusion': rng.integers(0, 2, 21).tolist(),
                'bbox': [[float(one) for one in box]],
            }
        ]
    return entries


def write(folder, entries=None, split='TEST', source='newdays_img'):
    """Writes a set; returns the dataset's arguments."""
    where = folder / f'{split}_{source}'
    where.mkdir(parents=True, exist_ok=True)
    for name, contents in (data() if entries is None else entries).items():
        (where / f'{name}.json').write_text(json.dumps(contents))
        hands.save_image(where / f'{name}.jpg', 320, 240)
    return {'data_root': str(folder), 'split': split, 'source': source}
