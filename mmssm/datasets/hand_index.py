"""Hands of many small files, gathered in one that is read in seconds."""

from os import path as osp
from typing import Any

import numpy as np

from mmssm.datasets.hand_annotations import HandAnnotations
from mmssm.utils.annotation_files import (
    check_inside,
    check_shape,
    read_npz,
    require_keys,
    texts,
)

_EXTRA = 'extra.'
_SHAPES: dict[str, tuple[int | None, ...]] = {
    'keypoints': (None, None, 2),
    'visible': (None, None),
    'joints': (None, None, 3),
    'focal': (None, 2),
    'principal': (None, 2),
    'right': (None,),
    'size': (None, 2),
    'bbox': (None, 4),
}
"""Columns of N rows; the first is the one that says what N is."""

_NEEDED = ('image', 'row', 'img_id', 'keypoints', 'visible', 'right', 'total')


def write_index(path: str, root: str, hands: HandAnnotations) -> None:
    """Writes hands to a file.

    Args:
        path: The ``.npz`` file to write.
        root: Folder that the images' paths are kept relative to.
        hands: The hands.
    """
    arrays: dict[str, Any] = {
        'image': np.array([osp.relpath(one, root) for one in hands.image]),
        'row': hands.row,
        'img_id': hands.img_id,
        'total': -1 if hands.total is None else hands.total,
    }
    for name in _SHAPES:
        column = getattr(hands, name)
        if column is not None:
            arrays[name] = column
    arrays |= {f'{_EXTRA}{name}': column for name, column in hands.extra.items()}
    np.savez(path, **arrays)


def read_index(path: str, root: str, preparation: str) -> HandAnnotations:
    """Reads what :func:`write_index` wrote.

    Args:
        path: The ``.npz`` file.
        root: Folder of the images.
        preparation: What makes the file, for messages.

    Returns:
        The hands.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It does not hold what it should.
    """
    data = read_npz(path, 'index', preparation)
    require_keys(path, 'the file', data, _NEEDED)
    rows = len(check_shape(path, 'keypoints', data['keypoints'], (None, None, 2)))
    joints = data['keypoints'].shape[1]
    columns: dict[str, np.ndarray | None] = {}
    for name, shape in _SHAPES.items():
        columns[name] = None
        if name in data:
            wanted = (rows, *(joints if size is None else size for size in shape[1:]))
            columns[name] = check_shape(path, name, data[name], wanted)
    extra = {}
    for name, column in data.items():
        if name.startswith(_EXTRA):
            wanted = (rows, *column.shape[1:])
            extra[name.removeprefix(_EXTRA)] = check_shape(path, name, column, wanted)
    samples = len(check_shape(path, 'row', data['row'], (None,)))
    check_shape(path, 'img_id', data['img_id'], (samples,))
    row, total = data['row'], check_shape(path, 'total', data['total'], ())
    if row.dtype.kind not in 'iu' or (
        samples and not 0 <= row.min() <= row.max() < rows
    ):
        raise ValueError(f'{path}: row must be whole numbers in [0, {rows})')
    return HandAnnotations(
        source=path,
        image=[
            osp.join(root, check_inside(path, f'image {number}', str(name)))
            for number, name in enumerate(texts(path, 'image', data['image'], samples))
        ],
        row=row,
        img_id=data['img_id'],
        extra=extra,
        total=None if total < 0 else int(total),
        **columns,  # type: ignore[arg-type]
    )
