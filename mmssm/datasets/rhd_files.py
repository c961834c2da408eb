"""RHD, the Rendered Handpose Dataset, in its official files."""

from os import path as osp
from typing import Any

import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image

from mmssm.datasets.hand_annotations import HandAnnotations, cameras
from mmssm.structures import hand
from mmssm.utils.annotation_files import (
    check_shape,
    read_pickle,
    require_keys,
)
from mmssm.utils.image_files import UnreadableImage, check_image_file, image_size

PREPARATION = 'docs/datasets/rhd.md says where the files come from'

COUNTS = {'training': 41258, 'evaluation': 2728}
"""Images of the released files."""

SIDES = hand.TWO_HANDS['rhd']

MASK_IDS = {'left': (2, 17), 'right': (18, 33)}
"""First and last of the mask's values that belong to each hand."""


def annotation_file(root: str, split: str) -> str:
    """Path of a split's pickle."""
    return osp.join(root, split, f'anno_{split}.pickle')


def read_frames(path: str) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray]:
    """Reads a split's pickle without running anything it holds.

    Args:
        path: ``anno_<split>.pickle``.

    Returns:
        Numbers of the images, ``xyz (N, 42, 3)`` metres, ``uv_vis (N, 42, 3)``
        pixels and visibility, ``K (N, 3, 3)``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, asks for code, or does not hold what it should.
    """
    data = read_pickle(path, 'annotation file', PREPARATION)
    require_keys(path, 'the file', data, ())
    columns: dict[str, list[np.ndarray]] = {'xyz': [], 'uv_vis': [], 'K': []}
    shapes = {'xyz': (42, 3), 'uv_vis': (42, 3), 'K': (3, 3)}
    numbers = sorted(_number(path, key) for key in data)
    if not numbers:
        raise ValueError(f'{path} holds no images')
    for number in numbers:
        require_keys(path, f'entry {number}', data[number], columns)
        for key, column in columns.items():
            value = data[number][key]
            of = f'{key} of entry {number}'
            column.append(check_shape(path, of, value, shapes[key]))
    xyz, uv_vis, K = (
        np.stack(column).astype(np.float64) for column in columns.values()
    )
    return numbers, xyz, uv_vis, K


def _number(path: str, key: Any) -> int:
    if not isinstance(key, int | np.integer) or isinstance(key, bool) or key < 0:
        raise ValueError(f'{path}: expected numbers of images as keys, found {key!r}')
    return int(key)


def mask_pixels(path: str) -> dict[str, int]:
    """Counts the pixels of each hand in a mask.

    Args:
        path: ``mask/%05d.png``.

    Returns:
        Pixels by ``'left'`` and ``'right'``.

    Raises:
        ValueError: It is missing, damaged or no picture of numbers.
    """
    try:
        check_image_file(path)
        with Image.open(path) as image:
            mask = np.asarray(image)
    except (UnreadableImage, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f'mask {path}: {error}; {PREPARATION}') from error
    if mask.ndim != 2 or mask.dtype.kind not in 'iu':
        raise ValueError(
            f'mask {path}: expected one channel of numbers, found an array of shape '
            f'{mask.shape} and dtype {mask.dtype}'
        )
    return {
        side: int(((mask >= first) & (mask <= last)).sum())
        for side, (first, last) in MASK_IDS.items()
    }


def read_hands(
    root: str,
    split: str,
    hands: str = 'larger',
    min_visible: int = 0,
    use_visibility: bool = True,
) -> HandAnnotations:
    """Reads RHD's annotations.

    Args:
        root: ``RHD_published_v2``.
        split: ``'training'`` or ``'evaluation'``.
        hands: ``'larger'``, the hand with more pixels in the mask, right where they
            are equal; or ``'both'``.
        min_visible: Leave out hands with fewer visible joints.
        use_visibility: Whether hidden joints have visibility 0.

    Returns:
        The hands.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file does not hold what it should, or nothing is left.
    """
    path = annotation_file(root, split)
    numbers, xyz, uv_vis, K = read_frames(path)
    focal, principal = cameras(path, 'K', K)
    frames, sides = [], []
    if hands == 'both':
        frames = np.repeat(np.arange(len(numbers)), 2).tolist()
        sides = list(SIDES) * len(numbers)
    else:
        frames = list(range(len(numbers)))
        masks = [osp.join(root, split, 'mask', f'{n:05d}.png') for n in numbers]
        sides = [_larger(mask) for mask in track_iter_progress(masks)]
    chosen = [
        (frame, side, hand.half(uv_vis[frame], 'rhd', side))
        for frame, side in zip(frames, sides, strict=True)
    ]
    chosen = [one for one in chosen if (one[2][:, 2] > 0).sum() >= min_visible]
    if not chosen:
        raise ValueError(f'{path}: no hand has {min_visible} visible joints')
    frame = np.array([one[0] for one in chosen])
    seen = np.stack([one[2] for one in chosen])
    joints = np.stack([hand.half(xyz[one[0]], 'rhd', one[1]) for one in chosen])
    images = [
        osp.join(root, split, 'color', f'{numbers[number]:05d}.png') for number in frame
    ]
    size = image_size(images[0])
    return HandAnnotations(
        source=path,
        image=images,
        row=np.arange(len(frame)),
        img_id=np.array(numbers)[frame],
        keypoints=seen[..., :2].astype(np.float32),
        visible=(
            (seen[..., 2] > 0) if use_visibility else np.ones(seen.shape[:2])
        ).astype(np.float32),
        joints=joints.astype(np.float32),
        focal=focal[frame],
        principal=principal[frame],
        right=np.array([one[1] == 'right' for one in chosen]),
        size=None if size is None else np.tile(size, (len(frame), 1)),
        total=len(numbers),
    )


def _larger(mask: str) -> str:
    pixels = mask_pixels(mask)
    return 'left' if pixels['left'] > pixels['right'] else 'right'
