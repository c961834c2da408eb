"""Small sets in FreiHAND's layout."""

import json

import numpy as np

from helpers import hands

SIZE = 64


def data(count=3, seed=0, vertices=20):
    """Contents of the annotation files, by their names."""
    rng = np.random.default_rng(seed)
    joints = np.stack([hands.pose(rng) for _ in range(count)]) / 1000
    K = np.stack([hands.camera(SIZE, SIZE, 64 + 4 * i) for i in range(count)])
    uv = np.stack([hands.project(*pair)[9] for pair in zip(joints, K, strict=True)])
    focal = K[:, [0, 1], [0, 1]].mean(1)
    mano = np.concatenate(
        [
            rng.normal(size=(count, 58)),
            uv,
            (focal / joints[:, 9, 2])[:, None],
        ],
        1,
    )
    return {
        'K': K.tolist(),
        'xyz': joints.tolist(),
        'verts': (
            joints[:, :1] + 0.05 * rng.normal(size=(count, vertices, 3))
        ).tolist(),
        'mano': mano[:, None].tolist(),
        'scale': np.linalg.norm(joints[:, 9] - joints[:, 10], axis=-1).tolist(),
    }


def write(folder, contents=None, split='training', versions=4):
    """Writes annotations and images; returns the dataset's arguments."""
    contents = data() if contents is None else contents
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f'{split}_{name}.json').write_text(json.dumps(content))
    for number in range(versions * len(contents['xyz'])):
        hands.save_image(
            folder / split / 'rgb' / f'{number:08d}.jpg', SIZE, SIZE, number
        )
    return {'data_root': str(folder), 'split': split}
