"""Small files of 2D hands as MMPose's data sets read them."""

import json

import numpy as np

from helpers import hands

STARTS = {'coco': {'left': 91, 'right': 112}, 'halpe': {'left': 94, 'right': 115}}


def triples(points, confidence=2.0):
    """``x, y, v`` one after another."""
    seen = np.full((len(points), 1), confidence)
    return np.concatenate([points, seen], 1).reshape(-1).tolist()


def person(rng, kind, sides=('left', 'right')):
    """Annotation of a person, and ``(21, 2)`` pixels of each hand."""
    found = {side: rng.uniform(20, 90, (21, 2)).round(1) for side in sides}
    hand = {
        side: triples(found[side]) if side in found else [0] * 63
        for side in ('left', 'right')
    }
    body = rng.uniform(10, 100, (26 if kind == 'halpe' else 17, 2))
    face = triples(np.full((68, 2), 50.0))
    annotation = {
        'bbox': [5, 5, 100, 100],
        'area': 1e4,
        'iscrowd': 0,
        'segmentation': [],
        'category_id': 1,
        'num_keypoints': 17,
    }
    if kind == 'halpe':
        whole = triples(body) + face + hand['left'] + hand['right']
        return {**annotation, 'keypoints': whole}, found
    return {
        **annotation,
        'keypoints': triples(body),
        'foot_kpts': triples(np.full((6, 2), 60.0)),
        'face_kpts': face,
        'lefthand_kpts': hand['left'],
        'righthand_kpts': hand['right'],
    }, found


def write_people(folder, kind, people):
    """Writes annotations of one person an image; returns arguments of a dataset."""
    images, annotations = [], []
    for number, one in enumerate(people):
        images.append(
            {'id': number, 'file_name': f'{number}.jpg', 'width': 120, 'height': 110}
        )
        annotations.append({**one, 'id': number, 'image_id': number})
        hands.save_image(folder / 'images' / f'{number}.jpg', 120, 110)
    return _write(folder, images, annotations)


def write_panoptic(folder, names):
    """Writes one hand an image; returns arguments of a dataset, and the hands."""
    rng = np.random.default_rng(0)
    images, annotations, found = [], [], []
    for number, name in enumerate(names):
        points = rng.uniform(20, 90, (21, 2)).round(1)
        images.append({'id': number, 'file_name': name, 'width': 120, 'height': 110})
        annotations.append(
            {
                'id': number,
                'image_id': number,
                'bbox': [10, 10, 90, 90],
                'area': 8100,
                'iscrowd': 0,
                'segmentation': [],
                'category_id': 1,
                'head_size': 20.0,
                'keypoints': triples(points, 1.0),
            }
        )
        hands.save_image(folder / 'images' / name, 120, 110)
        found.append(points)
    return _write(folder, images, annotations), found


def _write(folder, images, annotations):
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        'images': images,
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'person'}],
    }
    (folder / 'all.json').write_text(json.dumps(contents))
    return {
        'data_root': str(folder),
        'ann_file': 'all.json',
        'data_prefix': {'img': 'images/'},
    }
