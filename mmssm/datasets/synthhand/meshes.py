"""Closed meshes of simple bodies, and the forearm behind a hand."""

from typing import NamedTuple

import numpy as np


class Mesh(NamedTuple):
    """A triangle mesh.

    Attributes:
        vertices: ``(V, 3)``, metres.
        faces: ``(F, 3)`` vertex numbers, counter-clockwise from outside.
    """

    vertices: np.ndarray
    faces: np.ndarray


def tube(rings: np.ndarray) -> Mesh:
    """Joins rings of as many points each, and closes both ends.

    Args:
        rings: ``(R, P, 3)`` points, counter-clockwise seen from where the next
            ring is; first and last ring may shrink to a point.
    """
    count, points = rings.shape[:2]
    here = np.arange(points)
    there = np.roll(here, -1)
    faces = []
    for ring in range(count - 1):
        low, high = ring * points, (ring + 1) * points
        faces += [
            np.stack([low + here, low + there, high + here], 1),
            np.stack([low + there, high + there, high + here], 1),
        ]
    first, last = count * points, count * points + 1
    end = (count - 1) * points
    faces += [
        np.stack([np.full(points, first), there, here], 1),
        np.stack([np.full(points, last), end + here, end + there], 1),
    ]
    ends = rings[[0, -1]].mean(1)
    return Mesh(np.concatenate([rings.reshape(-1, 3), ends]), np.concatenate(faces))


def _circle(points: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(points) / points
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(points)], 1)


def ellipsoid(radii: np.ndarray) -> Mesh:
    """An ellipsoid about the origin with half axes ``(3,)``."""
    polar = np.pi * np.linspace(0.02, 0.98, 14)
    rings = np.sin(polar)[:, None, None] * _circle(20)
    rings[:, :, 2] = -np.cos(polar)[:, None]
    return _scaled(tube(rings), radii)


def cylinder(radii: np.ndarray) -> Mesh:
    """An upright cylinder about the origin with half axes ``(3,)``."""
    height = np.array([-1.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.0])
    width = np.array([0.94, 1.0, 1.0, 1.0, 1.0, 1.0, 0.94])
    rings = width[:, None, None] * _circle(24)
    rings[:, :, 2] = height[:, None]
    return _scaled(tube(rings), radii)


def box(radii: np.ndarray) -> Mesh:
    """A box about the origin with half axes ``(3,)``; its edges are bevelled."""
    corner = np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]], float)
    # two points a corner: normals turn over the bevel, not over the sides
    beside = np.stack([corner * [1, 0.9, 1], corner * [0.9, 1, 1]], 1)
    beside[[1, 3]] = beside[[1, 3], ::-1]
    ring = beside.reshape(-1, 3)
    height = np.array([-1.0, -0.9, 0.9, 1.0])
    rings = np.array([0.9, 1.0, 1.0, 0.9])[:, None, None] * ring
    rings[:, :, 2] = height[:, None]
    return _scaled(tube(rings), radii)


def _scaled(mesh: Mesh, radii: np.ndarray) -> Mesh:
    return Mesh(mesh.vertices * radii, mesh.faces)


def forearm(
    wrist: np.ndarray, frame: np.ndarray, radii: np.ndarray, bend: np.ndarray
) -> Mesh:
    """A forearm from inside the hand's end to 45 cm behind it.

    Args:
        wrist: ``(3,)`` middle of the hand's end, metres.
        frame: ``(3, 3)`` columns: across the arm, through its thickness, and the
            direction of the hand.
        radii: ``(2,)`` half width and half thickness of the hand's end, metres.
        bend: ``(3, 3)`` turn of the arm about the hand's end.
    """
    along = np.array([0.024, 0.012, 0.004, -0.006, -0.02, -0.06, -0.12, -0.2, -0.45])
    width = np.array([0.8, 1.0, 1.06, 1.06, 1.06, 1.14, 1.35, 1.5, 1.7])
    thickness = np.array([0.8, 1.0, 1.07, 1.09, 1.12, 1.28, 1.6, 1.85, 2.1])
    rings = np.tile(_circle(24), (len(along), 1, 1))
    rings[:, :, 0] *= width[:, None] * radii[0]
    rings[:, :, 1] *= thickness[:, None] * radii[1]
    rings[:, :, 2] = along[:, None]
    # the joint bends gradually
    behind = (along < 0)[:, None, None]
    rings = np.where(behind, rings @ bend.T, rings)
    # rings run away from the hand, so their turning sense is the other way round
    return tube(rings[:, ::-1] @ frame.T + wrist)
