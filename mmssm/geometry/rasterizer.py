"""A software rasteriser: which triangle each pixel sees, where, and how deep.

A vectorised z-buffer in NumPy, without a display and without a graphics
library. Edge functions are homogeneous (Olano and Greer, "Triangle Scan
Conversion using 2D Homogeneous Coordinates", 1997): depth and barycentric
coordinates are perspective-correct, and triangles that reach behind the camera
need no clipping. OpenCV 5's ``triangleRasterize`` interpolates one colour and
tells neither triangle nor barycentric coordinates; renderers on OpenGL need EGL
or a display.
"""

from dataclasses import dataclass

import numpy as np

_BLOCK = 1 << 15
"""Candidate pairs of pixel and face taken at once, so that they stay in the cache."""

_BOUND = 1e-6
"""Widening of a face's box, pixels: the box is rounded otherwise than the edges."""


@dataclass(frozen=True)
class Fragments:
    """What the pixels of a picture see of a mesh.

    Attributes:
        face: ``(H, W)`` int64 number of the nearest face, -1 where there is none.
        weights: ``(H, W, 3)`` barycentric coordinates in that face, in space
            (not on the screen); 0 where there is none.
        depth: ``(H, W)`` z in the camera's frame, metres; infinity where there
            is none.
    """

    face: np.ndarray
    weights: np.ndarray
    depth: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """``(H, W)`` bool, where a face is seen."""
        return self.face >= 0


def rasterize(
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: np.ndarray,
    size: tuple[int, int],
    *,
    near: float = 1e-3,
    cull_back: bool = False,
) -> Fragments:
    """Projects a mesh and keeps the nearest face of every pixel.

    The centre of the pixel in row i and column j is at (x, y) = (j, i), as
    ``cv2`` and keypoints have it. A pixel belongs to a triangle if its centre is
    inside, or on a left or top edge: neighbours leave no gap and share no pixel.
    Of faces equally deep the first is kept.

    Args:
        vertices: ``(V, 3)`` in the camera's frame (x right, y down, z forward),
            metres.
        faces: ``(F, 3)`` vertex numbers. Degenerate faces are not seen.
        camera: ``(3, 3)`` pinhole matrix K with last row (0, 0, 1), pixels.
        size: Height and width of the picture, pixels.
        near: What is nearer is not seen, metres, positive.
        cull_back: Leave out faces that are clockwise from the camera, the back
            of a closed mesh.

    Returns:
        The fragments.

    Raises:
        ValueError: Shapes or numbers are not as described.
    """
    vertices, faces, camera = _checked(vertices, faces, camera, size, near)
    height, width = size
    points = vertices @ camera.T
    corners = points[faces]
    # edges[f, k] . (x, y, 1) is the weight of corner k over depth, times det
    edges = np.stack(
        [_cross(corners, 1, 2), _cross(corners, 2, 0), _cross(corners, 0, 1)], 1
    )
    determinant = (edges[:, 0] * corners[:, 0]).sum(-1)
    # y points down: counter-clockwise from outside means negative here
    kept = determinant < 0 if cull_back else determinant != 0
    kept &= (corners[..., 2] > near).any(1)
    number = np.flatnonzero(kept)
    edges = edges[number] * np.sign(determinant[number])[:, None, None]
    determinant = np.abs(determinant[number])
    x0, x1, y0, y1 = _boxes(corners[number], near, size)

    buffer = np.full(height * width, np.inf)
    face = np.full(height * width, -1, np.int64)
    weights = np.zeros((height * width, 3))
    area = np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)
    for chosen in _blocks(area):
        owner, x, y = _candidates(chosen, area, x0, x1, y0)
        owner, pixel, value = _inside(edges, owner, x, y, width)
        total = value.sum(-1)
        depth = determinant[owner] / total
        seen = depth >= near
        owner, pixel, depth = owner[seen], pixel[seen], depth[seen]
        # blocks come in the order of faces, so an equal depth stays with the first
        nearer = depth < buffer[pixel]
        np.minimum.at(buffer, pixel, depth)
        nearest = np.flatnonzero(nearer & (depth == buffer[pixel]))[::-1]
        place = pixel[nearest]
        face[place] = number[owner[nearest]]
        chosen_value = value[seen][nearest]
        weights[place] = chosen_value / chosen_value.sum(-1, keepdims=True)
    return Fragments(
        face.reshape(size), weights.reshape(*size, 3), buffer.reshape(size)
    )


def interpolate(
    fragments: Fragments, faces: np.ndarray, attributes: np.ndarray
) -> np.ndarray:
    """Values of a vertex attribute (colour, normal, position …) at the pixels.

    Args:
        fragments: What the pixels see.
        faces: ``(F, 3)`` the faces that were rasterised.
        attributes: ``(V, C)`` values at the vertices.

    Returns:
        ``(H, W, C)``, 0 where no face is seen.
    """
    attributes = np.asarray(attributes)
    mask = fragments.mask
    corners = attributes[np.asarray(faces)[fragments.face[mask]]]
    out = np.zeros((*mask.shape, attributes.shape[1]), np.result_type(attributes, 0.0))
    out[mask] = (corners * fragments.weights[mask][..., None]).sum(1)
    return out


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals ``(V, 3)``, means over the faces around, weighted by area.

    They point to where a face is counter-clockwise. A vertex without faces gets
    0.

    Args:
        vertices: ``(V, 3)``.
        faces: ``(F, 3)`` vertex numbers.
    """
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack(
        [
            np.bincount(faces.ravel(), across[:, k].repeat(3), len(vertices)) + 0.0
            for k in range(3)
        ],
        1,
    )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


def outward_faces(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces that are counter-clockwise from outside.

    A mirrored mesh, such as a left hand made of a right one, has them the other way
    round. The sign of the volume about the mean vertex tells; a hole, such as a
    hand's wrist, does not matter.

    Args:
        vertices: ``(V, 3)``.
        faces: ``(F, 3)`` vertex numbers, all one way round.

    Returns:
        ``(F, 3)``, reversed where need be.
    """
    vertices, faces = np.asarray(vertices, float), np.asarray(faces)
    a, b, c = (vertices[faces[:, k]] - vertices.mean(0) for k in range(3))
    volume = (a * np.cross(b, c)).sum()
    return faces[:, ::-1] if volume < 0 else faces


def supersampled(camera: np.ndarray, factor: int) -> np.ndarray:
    """The pinhole matrix of a picture that is ``factor`` times finer.

    The mean over ``factor`` x ``factor`` pixels of the fine picture is the pixel
    of the coarse one.

    Args:
        camera: ``(3, 3)`` matrix of the coarse picture; pixel centres are whole
            numbers.
        factor: Whole number, at least 1.
    """
    fine = np.array(camera, float)
    fine[:2] *= factor
    fine[:2, 2] += (factor - 1) / 2
    return fine


def _checked(
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: np.ndarray,
    size: tuple[int, int],
    near: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    vertices, camera = np.asarray(vertices, float), np.asarray(camera, float)
    faces = np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f'vertices must have shape (V, 3), got {vertices.shape}')
    if not np.isfinite(vertices).all():
        row = int(np.flatnonzero(~np.isfinite(vertices).all(1))[0])
        raise ValueError(f'vertices must be finite, vertex {row} is {vertices[row]}')
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f'faces must have shape (F, 3), got {faces.shape}')
    if faces.dtype.kind not in 'iu':
        raise ValueError(f'faces must hold whole numbers, got dtype {faces.dtype}')
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise ValueError(
            f'faces must hold vertex numbers 0 to {len(vertices) - 1}, got '
            f'{faces.min()} to {faces.max()}'
        )
    if camera.shape != (3, 3) or not np.array_equal(camera[2], [0, 0, 1]):
        raise ValueError(
            'camera must be a (3, 3) pinhole matrix whose last row is (0, 0, 1), '
            f'got {camera.tolist()}'
        )
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f'size must be a height and a width, at least 1, got {size}')
    if not near > 0:
        raise ValueError(f'near must be positive, got {near}')
    return vertices, faces.astype(np.int64), camera


def _cross(corners: np.ndarray, i: int, j: int) -> np.ndarray:
    """Line through corners i and j; swapping them changes nothing but its sign."""
    a, b = corners[:, i], corners[:, j]
    return np.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        -1,
    )


def _boxes(
    corners: np.ndarray, near: float, size: tuple[int, int]
) -> tuple[np.ndarray, ...]:
    """First column and the one after the last that a face may touch; rows alike."""
    height, width = size
    # part of a face may be behind the camera: then it may be anywhere
    whole = np.asarray((corners[..., 2] > near).all(1))
    depth = np.where(whole[:, None], corners[..., 2], 1.0)
    bounds = []
    for axis, limit in ((0, width), (1, height)):
        place = corners[..., axis] / depth
        low = np.ceil(np.clip(place.min(1) - _BOUND, 0, limit))
        high = np.floor(np.clip(place.max(1) + _BOUND, -1, limit - 1)) + 1
        bounds.append(np.where(whole, low, 0).astype(np.int64))
        bounds.append(np.where(whole, high, limit).astype(np.int64))
    return tuple(bounds)


def _blocks(area: np.ndarray) -> list[np.ndarray]:
    """Face numbers in groups of about as many candidates each."""
    faces = np.flatnonzero(area)
    if not faces.size:
        return []
    before = np.cumsum(area[faces]) - area[faces]
    return np.split(faces, np.flatnonzero(np.diff(before // _BLOCK)) + 1)


def _candidates(
    chosen: np.ndarray,
    area: np.ndarray,
    x0: np.ndarray,
    x1: np.ndarray,
    y0: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pixel of every chosen face's box: face, column and row."""
    count = area[chosen]
    owner = np.repeat(chosen, count)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(place, (x1 - x0)[owner])
    return owner, x0[owner] + column, y0[owner] + row


def _inside(
    edges: np.ndarray, owner: np.ndarray, x: np.ndarray, y: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates that are covered: their face, pixel, and edge functions."""
    value = np.empty((3, len(owner)))
    for k in range(3):
        a, b, c = np.take(edges[:, k].T, owner, axis=1)
        value[k] = a * x + b * y + c
    inside = (value[0] >= 0) & (value[1] >= 0) & (value[2] >= 0)
    on_edge = inside & ((value[0] == 0) | (value[1] == 0) | (value[2] == 0))
    if on_edge.any():
        touched = np.flatnonzero(on_edge)
        edge = edges[owner[touched]]
        left_or_top = (edge[..., 0] > 0) | ((edge[..., 0] == 0) & (edge[..., 1] > 0))
        inside[touched] = (left_or_top | (value[:, touched].T > 0)).all(1)
    kept = np.flatnonzero(inside)
    return owner[kept], y[kept] * width + x[kept], value[:, kept].T
