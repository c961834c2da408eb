"""Writing meshes to files that other programs open."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def join_meshes(
    meshes: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """One mesh of several, such as the hands of a picture.

    Args:
        meshes: Vertices ``(V, 3)`` and faces ``(F, 3)`` of each.

    Returns:
        Vertices and faces of all, in this order.
    """
    before = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    vertices = [np.zeros((0, 3)), *(vertices for vertices, _ in meshes)]
    faces = [
        np.asarray(own) + start
        for (_, own), start in zip(meshes, before[:-1], strict=True)
    ]
    return np.concatenate(vertices), np.concatenate([np.zeros((0, 3), int), *faces])


def save_mesh(path: str | Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Writes a mesh as ``.obj`` (text) or ``.ply`` (binary, single precision).

    Numbers are written as they are: the unit and the frame (x right, y down, z
    forward, where a mesh is in the camera's) stay the caller's.

    Args:
        path: File to write; the ending tells the format. Its folder is made.
        vertices: ``(V, 3)``.
        faces: ``(F, 3)`` vertex numbers from 0, counter-clockwise from outside.

    Raises:
        ValueError: The ending is another, or shapes or numbers are not as described.
    """
    path = Path(path)
    writers = {'.obj': _obj, '.ply': _ply}
    if path.suffix not in writers:
        raise ValueError(f'{path}: the name of a mesh must end in .obj or .ply')
    vertices, faces = np.asarray(vertices), np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(
            f'{path}: vertices must have shape (V, 3), got {vertices.shape}'
        )
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(1))[0])
        raise ValueError(f'{path}: vertex {row} is {vertices[row]}')
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in 'iu':
        raise ValueError(
            f'{path}: faces must be whole numbers of shape (F, 3), got {faces.dtype} '
            f'{faces.shape}'
        )
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise ValueError(
            f'{path}: faces must hold vertex numbers 0 to {len(vertices) - 1}, got '
            f'{faces.min()} to {faces.max()}'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(writers[path.suffix](vertices, faces))


def _obj(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    lines = [f'v {x:.9g} {y:.9g} {z:.9g}' for x, y, z in vertices.tolist()]
    lines += [f'f {a} {b} {c}' for a, b, c in (faces.astype(np.int64) + 1).tolist()]
    return ('\n'.join(lines) + '\n').encode()


def _ply(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    header = (
        'ply\nformat binary_little_endian 1.0\n'
        f'element vertex {len(vertices)}\n'
        'property float x\nproperty float y\nproperty float z\n'
        f'element face {len(faces)}\n'
        'property list uchar int vertex_indices\nend_header\n'
    )
    rows = np.zeros(len(faces), [('count', 'u1'), ('corners', '<i4', (3,))])
    rows['count'], rows['corners'] = 3, faces
    return header.encode() + vertices.astype('<f4').tobytes() + rows.tobytes()
