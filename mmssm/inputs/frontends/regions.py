"""Turned squares of an image: cutting them out and coming back from them."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """A square of an image.

    Attributes:
        center: ``(x, y)`` in pixels.
        side: Length of a side, pixels.
        angle: Clockwise turn of the square in the image, radians.
    """

    center: tuple[float, float]
    side: float
    angle: float = 0.0

    @property
    def bbox(self) -> NDArray[np.float32]:
        """``(x0, y0, x1, y1)`` of the square without its turn, pixels."""
        x, y = self.center
        half = self.side / 2
        return np.array([x - half, y - half, x + half, y + half], np.float32)

    def to_image(self, points: NDArray) -> NDArray[np.float32]:
        """Moves points of the square into the image.

        Args:
            points: ``(..., 2)`` in units of the side, (0, 0) at the top left.

        Returns:
            ``(..., 2)`` pixels of the image.
        """
        sine, cosine = math.sin(self.angle), math.cos(self.angle)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        moved = (np.asarray(points, np.float64) - 0.5) @ turn
        return (moved * self.side + self.center).astype(np.float32)

    def cut(
        self, image: NDArray[np.uint8], size: int, repeat_border: bool
    ) -> NDArray[np.float32]:
        """Cuts the square out of an image.

        Args:
            image: ``(H, W, 3)``, blue, green, red.
            size: Side of what is returned, pixels.
            repeat_border: Repeat the image's border outside of it; else black.

        Returns:
            ``(size, size, 3)`` red, green, blue in [0, 1].
        """
        corners = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
        matrix = cv2.getAffineTransform(self.to_image(corners), corners * size)
        border = cv2.BORDER_REPLICATE if repeat_border else cv2.BORDER_CONSTANT
        crop = cv2.warpAffine(
            image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border
        )
        return crop[..., ::-1].astype(np.float32) / 255


def whole_image(image: NDArray) -> Region:
    """The smallest square around an image ``(H, W, ...)``."""
    height, width = image.shape[:2]
    return Region((width / 2, height / 2), float(max(width, height)))


def upright_angle(start: NDArray, end: NDArray) -> float:
    """Turn of a square in which the way from one point to another leads up.

    Args:
        start: ``(2,)`` pixels.
        end: ``(2,)`` pixels.

    Returns:
        Clockwise angle in [-pi, pi), radians.
    """
    x, y = (np.asarray(end, np.float64) - start).tolist()
    angle = math.pi / 2 - math.atan2(-y, x)
    return (angle + math.pi) % (2 * math.pi) - math.pi


def region_along(start: NDArray, end: NDArray, scale: float) -> Region:
    """The square around a point that reaches another one.

    Args:
        start: ``(2,)`` pixels, the centre.
        end: ``(2,)`` pixels: the middle of the upper side at ``scale`` 1.
        scale: Enlargement.
    """
    side = 2 * float(np.linalg.norm(np.asarray(end, np.float64) - start)) * scale
    x, y = np.asarray(start, np.float64).tolist()
    return Region((x, y), side, upright_angle(start, end))
