"""HInt in its official tree: hands of videos with joints in the plane."""

import re
from os import path as osp
from pathlib import Path
from typing import Any

import numpy as np

from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.structures.hand import NUM_JOINTS
from mmssm.utils.annotation_files import (
    check_shape,
    read_json,
    require_keys,
    require_list,
)

PREPARATION = 'docs/datasets/hint.md says where the files come from'

SPLITS = ('TRAIN', 'VAL', 'TEST')
SOURCES = ('newdays_img', 'epick_img', 'ego4d_img', 'ego4d_seq')

COUNTS = {
    ('TRAIN', 'newdays_img'): 9666,
    ('VAL', 'newdays_img'): 550,
    ('TEST', 'newdays_img'): 1754,
    ('TRAIN', 'epick_img'): 2780,
    ('VAL', 'epick_img'): 625,
    ('TEST', 'epick_img'): 1906,
    ('TRAIN', 'ego4d_img'): 11652,
    ('VAL', 'ego4d_img'): 514,
    ('TEST', 'ego4d_img'): 1714,
    ('VAL', 'ego4d_seq'): 2320,
    ('TEST', 'ego4d_seq'): 6953,
}
"""Hands of the released folders, one an image."""

BBOX_ORDERS = ('xyxy', 'xywh', 'yxyx', 'yxhw')
"""How the four numbers of a box may be meant."""

LEAST_OVERLAP = 0.2
"""Least overlap of boxes with those of their joints if the order is right."""


def corners(boxes: np.ndarray, order: str) -> np.ndarray:
    """Left, top, right and bottom of boxes.

    Args:
        boxes: ``(N, 4)``.
        order: One of :data:`BBOX_ORDERS`.

    Returns:
        ``(N, 4)``.
    """
    first, second = boxes[:, :2], boxes[:, 2:]
    if order in ('yxyx', 'yxhw'):
        first, second = first[:, ::-1], second[:, ::-1]
    if order in ('xywh', 'yxhw'):
        second = first + second
    return np.concatenate([first, second], 1)


def _overlap(keypoints: np.ndarray, boxes: np.ndarray) -> float:
    """Median over hands of intersection over union of joints' boxes and boxes."""
    around = np.concatenate([keypoints.min(1), keypoints.max(1)], 1)
    low = np.maximum(around[:, :2], boxes[:, :2])
    high = np.minimum(around[:, 2:], boxes[:, 2:])
    common = (high - low).clip(0).prod(1)
    areas = [(one[:, 2:] - one[:, :2]).clip(0).prod(1) for one in (around, boxes)]
    with np.errstate(invalid='ignore', divide='ignore'):
        return float(np.median(np.nan_to_num(common / (sum(areas) - common))))


def check_bbox_order(
    source: str, keypoints: np.ndarray, boxes: np.ndarray, order: str
) -> None:
    """Checks that boxes fit their joints best as they are meant.

    Args:
        source: Folder, for the message.
        keypoints: ``(N, 21, 2)`` pixels.
        boxes: ``(N, 4)`` as the files have them.
        order: One of :data:`BBOX_ORDERS`.

    Raises:
        ValueError: They fit better in another order, or in none.
    """
    fits = {one: _overlap(keypoints, corners(boxes, one)) for one in BBOX_ORDERS}
    best = max(fits, key=lambda one: fits[one])
    if fits[order] < max(fits[best], LEAST_OVERLAP):
        found = ', '.join(f'{one} {fit:.2f}' for one, fit in fits.items())
        raise ValueError(
            f"{source}: bbox_order='{order}' does not fit the joints (overlap of "
            f'boxes with those of the joints: {found}; expected the highest, and at '
            f'least {LEAST_OVERLAP}): set bbox_order to the one that fits'
        )


def read_hands(root: str, split: str, source: str, bbox_order: str) -> HandAnnotations:
    """Reads one folder of HInt.

    Args:
        root: Folder of ``<split>_<source>``.
        split: One of :data:`SPLITS`.
        source: One of :data:`SOURCES`.
        bbox_order: One of :data:`BBOX_ORDERS`.

    Returns:
        The hands, by name; ``keypoints_occluded (N, 21)`` is 1 for joints that are
        hidden, and their places are annotated too.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: A file does not hold what it should.
    """
    folder = Path(root) / f'{split}_{source}'
    paths = sorted(folder.glob('*.json'))
    if not paths:
        raise FileNotFoundError(f'there are no .json files in {folder}; {PREPARATION}')
    rows = [_read(str(path)) for path in paths]
    keypoints, occluded, boxes = (np.stack(one) for one in zip(*rows, strict=True))
    check_bbox_order(str(folder), keypoints, boxes, bbox_order)
    return HandAnnotations(
        source=str(folder),
        image=[str(path.with_suffix('.jpg')) for path in paths],
        row=np.arange(len(paths)),
        img_id=np.arange(len(paths)),
        keypoints=keypoints.astype(np.float32),
        visible=np.ones(occluded.shape, np.float32),
        joints=None,
        focal=None,
        principal=None,
        right=np.array([_is_right(str(path)) for path in paths]),
        bbox=corners(boxes, bbox_order).astype(np.float32),
        extra={'keypoints_occluded': occluded.astype(np.float32)},
    )


def _is_right(path: str) -> bool:
    found = re.search(r'_([lr])$', osp.splitext(osp.basename(path))[0])
    if found is None:
        raise ValueError(
            f'{path}: expected a name that ends in _l or _r, which says the hand'
        )
    return found[1] == 'r'


def _read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints, hidden or not, and box of the one hand of a file."""
    entries = require_list(
        path, 'the file', read_json(path, 'annotation file', PREPARATION)
    )
    if len(entries) != 1:
        raise ValueError(f'{path}: expected one hand, found {len(entries)}')
    keys = ('keypoints', 'occlusion', 'bbox')
    entry = require_keys(path, 'the hand', entries[0], keys)
    keypoints = check_shape(path, 'keypoints', entry['keypoints'], (NUM_JOINTS, 2))
    occluded = check_shape(path, 'occlusion', entry['occlusion'], (NUM_JOINTS,))
    if not np.isin(occluded, (0, 1)).all():
        raise ValueError(
            f'{path}: expected occlusion to be 0 (seen) or 1 (hidden), found '
            f'{sorted(set(occluded.tolist()))}'
        )
    return keypoints, occluded, _box(path, entry['bbox'])


def _box(path: str, boxes: Any) -> np.ndarray:
    return check_shape(path, 'bbox', boxes, (1, 4))[0].astype(np.float64)
