"""Small sets in RHD's layout."""

import pickle

import numpy as np
from PIL import Image

from helpers import hands

SIZE = 64
LARGER = ('right', 'left', 'right')
"""Which hand covers more of each mask; the last are equal."""


def data(count=3, seed=0):
    """What the pickle holds."""
    rng = np.random.default_rng(seed)
    entries = {}
    for i in range(count):
        K = hands.camera(SIZE, SIZE, 60 + 3 * i)
        both = np.concatenate(
            [hands.as_order(hands.pose(rng, side), 'rhd') for side in ('left', 'right')]
        )
        seen = rng.random((42, 1)) < 0.8
        # one hand is seen whole
        seen[21 * (i % 2) : 21 * (i % 2) + 21] = True
        uv = hands.project(both, K)
        entries[i] = {
            'xyz': (both / 1000).astype(np.float32),
            'uv_vis': np.concatenate([uv, seen], 1).astype(np.float32),
            'K': K.astype(np.float32),
        }
    return entries


def mask(larger):
    """A mask in which one hand covers more."""
    values = np.zeros((SIZE, SIZE), np.uint8)
    values[:9] = 1
    values[20:30, :20] = 2 + np.arange(20) % 16
    values[20:30, 20:40] = 18 + np.arange(20) % 16
    values[40] = {'left': 17, 'right': 33}[larger]
    return values


def write(folder, contents=None, split='training', protocol=2):
    """Writes annotations, images and masks; returns the dataset's arguments."""
    contents = data() if contents is None else contents
    (folder / split / 'mask').mkdir(parents=True, exist_ok=True)
    with open(folder / split / f'anno_{split}.pickle', 'wb') as file:
        pickle.dump(contents, file, protocol=protocol)
    for number, larger in enumerate(LARGER):
        hands.save_image(folder / split / 'color' / f'{number:05d}.png', SIZE, SIZE)
        values = mask(larger)
        if number == 2:
            values[40] = 0
        Image.fromarray(values).save(folder / split / 'mask' / f'{number:05d}.png')
    return {'data_root': str(folder), 'split': split}
