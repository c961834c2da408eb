"""Result files of hand meshes for the evaluation servers of FreiHAND and HO-3D."""

import json
import zipfile
from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmssm.structures.hand import NUM_JOINTS, reorder
from mmssm.utils.whole_files import open_atomically

DIGITS = 7
"""Decimals of a metre that are written: a tenth of a micrometre."""


class Submission(NamedTuple):
    """What a server takes.

    Attributes:
        order: Its order of joints, a key of ``mmssm.structures.hand.ORDERS``.
        axes: Signs of x, y, z in its camera's frame, seen from OpenCV's.
        root_given: The set says where the wrist is, and results are put there.
        num_samples: Images of the released set, one hand each.
    """

    order: str
    axes: tuple[int, int, int]
    root_given: bool
    num_samples: int


SUBMISSIONS = {
    'freihand': Submission('op21', (1, 1, 1), False, 3960),
    'ho3d_v2': Submission('mano', (1, -1, -1), True, 11524),
    'ho3d_v3': Submission('mano', (1, -1, -1), True, 20137),
}
"""By name. HO-3D's frame is OpenGL's, its joints are in MANO's order."""

NUM_VERTICES = 778
"""Vertices of MANO, by which the servers know a mesh."""


def write_submission(
    path: str | PathLike,
    name: str,
    joints: np.ndarray,
    vertices: np.ndarray,
    num_samples: int | None = None,
    num_vertices: int = NUM_VERTICES,
) -> Path:
    """Writes ``pred.json`` in a zip archive, as the servers take it.

    The file is ``[joints of all images, vertices of all images]``, metres. All is
    checked before anything is written, and no archive is left half written.

    Args:
        path: The archive, ``.zip``.
        name: A key of :data:`SUBMISSIONS`.
        joints: ``(N, 21, 3)`` metres, ``'op21'`` order, camera frame of OpenCV, in
            the order of the set's images.
        vertices: ``(N, V, 3)`` likewise.
        num_samples: How many images there must be. Default: those of the released
            set.
        num_vertices: How many vertices there must be.

    Returns:
        The path.

    Raises:
        ValueError: There is no such server, or something is of another number, of
            another shape or not finite.
        FileNotWrittenError: The disk is full, for example; earlier files stay.
    """
    if name not in SUBMISSIONS:
        raise ValueError(f'a submission is one of {list(SUBMISSIONS)}, got {name!r}')
    if Path(path).suffix != '.zip':
        raise ValueError(f'a submission is a .zip, got {fspath(path)}')
    server = SUBMISSIONS[name]
    count = server.num_samples if num_samples is None else num_samples
    _check('joints', joints, (count, NUM_JOINTS, 3))
    _check('vertices', vertices, (count, num_vertices, 3))
    ordered = reorder(joints, 'op21', server.order)
    entry = zipfile.ZipInfo('pred.json')
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with (
        open_atomically(path) as file,
        zipfile.ZipFile(file, 'w') as archive,
        archive.open(entry, 'w', force_zip64=True) as out,
    ):
        for part in _json((ordered, vertices), np.array(server.axes)):
            out.write(part.encode())
    return Path(path)


def _check(what: str, points: np.ndarray, shape: tuple[int, int, int]) -> None:
    if points.shape != shape:
        raise ValueError(
            f'expected {what} of shape {shape} (images, {what}, 3), found '
            f'{points.shape}'
        )
    good = np.isfinite(points).all((1, 2))
    if not good.all():
        raise ValueError(
            f'{what} of {(~good).sum()} images are not finite, first of image '
            f'{int(np.flatnonzero(~good)[0])}'
        )


def _json(columns: tuple[np.ndarray, np.ndarray], axes: np.ndarray) -> Iterator[str]:
    """The file in parts, one image at a time: whole it would not fit into memory."""
    for column, points in enumerate(columns):
        yield '[[' if not column else ', ['
        for number, row in enumerate(points):
            # + 0 makes 0 of -0
            values = np.round(row.astype(np.float64) * axes, DIGITS) + 0.0
            yield (', ' if number else '') + json.dumps(values.tolist())
        yield ']' if not column else ']]'
