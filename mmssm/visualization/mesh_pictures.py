"""Pictures of meshes: over an image, and from the side."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmssm.geometry.rasterizer import (
    interpolate,
    outward_faces,
    rasterize,
    supersampled,
    vertex_normals,
)

COLORS = ((120, 170, 225), (235, 155, 105), (130, 200, 140), (200, 140, 205))
"""RGB of the first hand of a picture and of those after it, again and again."""

TURNS = {
    'side': ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    'above': ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}
"""Rows are right, down and forward of a view, in the camera's frame.

``'side'`` looks from the camera's right, so that depth goes to the right; from
``'above'``, depth goes up.
"""

_LIGHT = np.array([-0.35, -0.6, -0.72])
"""Towards the light: from above, behind the camera's left shoulder."""

_FINEST = 1024
"""Largest edge, in pixels, of what is drawn twice as fine and then averaged."""


class PlacedMesh(NamedTuple):
    """A mesh in a camera's frame.

    Attributes:
        vertices: ``(V, 3)``, x right, y down, z forward, metres.
        faces: ``(F, 3)`` vertex numbers, counter-clockwise from outside.
        camera: ``(3, 3)`` pinhole matrix, pixels.
        color: RGB, 0 to 255.
    """

    vertices: NDArray
    faces: NDArray
    camera: NDArray
    color: tuple[int, int, int]


def place_meshes(
    vertices: NDArray, faces: NDArray, cameras: Sequence[NDArray]
) -> list[PlacedMesh]:
    """The hands of a picture, each in its colour.

    Args:
        vertices: ``(N, V, 3)`` in the camera's frame, metres; left hands may be
            mirrored right ones.
        faces: ``(F, 3)`` of one hand.
        cameras: N pinhole matrices ``(3, 3)``.

    Returns:
        N meshes whose faces look outwards.
    """
    return [
        PlacedMesh(
            hand, outward_faces(hand, faces), camera, COLORS[number % len(COLORS)]
        )
        for number, (hand, camera) in enumerate(zip(vertices, cameras, strict=True))
    ]


def draw_meshes(
    image: NDArray[np.uint8], meshes: Sequence[PlacedMesh], opacity: float = 0.85
) -> NDArray[np.uint8]:
    """Draws meshes over an image, the nearer over the farther.

    Args:
        image: RGB, ``(H, W, 3)``.
        meshes: What is seen; parts behind the camera are not.
        opacity: Of the meshes, 0 to 1.

    Returns:
        A new image.
    """
    out = np.array(image)
    box = _box(meshes, image.shape[:2])
    if box is None:
        return out
    x0, y0, x1, y1 = box
    factor = 2 if max(x1 - x0, y1 - y0) <= _FINEST else 1
    size = (factor * (y1 - y0), factor * (x1 - x0))
    depth = np.full(size, np.inf)
    color = np.zeros((*size, 3), np.float32)
    for mesh in meshes:
        shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
        camera = supersampled(shift @ mesh.camera, factor)
        seen = rasterize(mesh.vertices, mesh.faces, camera, size)
        nearer = seen.depth < depth
        normals = interpolate(
            seen, mesh.faces, vertex_normals(mesh.vertices, mesh.faces)
        )
        color[nearer] = _shade(normals[nearer]) * np.array(mesh.color)
        depth = np.minimum(depth, seen.depth)
    cover = np.isfinite(depth).astype(np.float32)[..., None]
    layer = np.concatenate([color, cover], -1)
    layer = cv2.resize(layer, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    share = opacity * layer[..., 3:]
    below = out[y0:y1, x0:x1] * (1 - share)
    # the mean colour counts what is not covered as black, so it is a share already
    blended = below + opacity * layer[..., :3]
    out[y0:y1, x0:x1] = np.clip(np.round(blended), 0, 255)
    return out


def draw_view(
    mesh: PlacedMesh, view: str, edge: int, reach: float | None = None
) -> NDArray[np.uint8]:
    """Draws a mesh from another direction, alone.

    Args:
        mesh: The mesh.
        view: A key of :data:`TURNS`.
        edge: Height and width of the picture, pixels.
        reach: What the picture shows to each side of the mesh's middle, metres; the
            same for all frames of a video, lest the hand grow and shrink. None: as
            large as it fits.

    Returns:
        RGB, ``(edge, edge, 3)``.
    """
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    turned = (mesh.vertices - (low + high) / 2) @ np.array(TURNS[view]).T
    # all views of a mesh in the same scale, and from far away, so that it looks flat
    reach = reach or max(float((high - low).max()) / 2, 1e-6)
    distance, centre = 40 * reach, (edge - 1) / 2
    focal = 0.43 * edge * distance / reach
    camera = np.array([[focal, 0, centre], [0, focal, centre], [0, 0, 1]])
    placed = mesh._replace(vertices=turned + np.array([0, 0, distance]), camera=camera)
    picture = draw_meshes(np.full((edge, edge, 3), 255, np.uint8), [placed], 1.0)
    scale = max(edge, 120) / 500
    cv2.putText(
        picture, view, (4, 4 + int(25 * scale)), cv2.FONT_HERSHEY_SIMPLEX, scale, 0
    )
    return picture


def _shade(normals: NDArray) -> NDArray:
    """Brightness ``(P, 1)`` of what faces the light, and some of the rest."""
    length = np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    facing = (normals / length) @ (_LIGHT / np.linalg.norm(_LIGHT))
    return (0.35 + 0.65 * np.clip(facing, 0, 1))[:, None]


def _box(
    meshes: Sequence[PlacedMesh], size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """First and last column and row, the last excluded, that meshes may touch."""
    height, width = size
    low, high = [], []
    for mesh in meshes:
        depth = mesh.vertices[:, 2:]
        if (depth <= 0).all():
            continue
        if (depth <= 0).any():
            return 0, 0, width, height
        points = (mesh.vertices @ mesh.camera.T)[:, :2] / depth
        low.append(points.min(0))
        high.append(points.max(0))
    if not low:
        return None
    limit = (width, height)
    first = np.clip(np.floor(np.min(low, 0)), 0, limit).astype(int)
    last = np.clip(np.ceil(np.max(high, 0)) + 1, 0, limit).astype(int)
    if (last <= first).any():
        return None
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])
