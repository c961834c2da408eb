"""Between stored colours and light, and values out of pictures."""

import cv2
import numpy as np


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values, both 0 to 1."""
    srgb = np.asarray(srgb, float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """SRGB values of linear light, clipped to 0 to 1."""
    linear = np.clip(linear, 0, 1)
    root = 1.055 * np.power(linear, 1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, root)


def look_up(
    picture: np.ndarray, x: np.ndarray, y: np.ndarray, outside: float
) -> np.ndarray:
    """Bilinear values ``(P,)`` of a float32 picture ``(H, W)`` at pixels.

    Args:
        picture: The picture.
        x: ``(P,)`` columns, pixel centres are whole numbers.
        y: ``(P,)`` rows.
        outside: Value beyond the picture's edge.
    """
    # OpenCV takes maps of less than 2^15 rows
    width = 1024
    places = np.full((2, -(-len(x) // width) * width), -10, np.float32)
    places[0, : len(x)], places[1, : len(x)] = x, y
    if not len(x):
        return np.zeros(0, np.float32)
    values = cv2.remap(
        picture,
        places[0].reshape(-1, width),
        places[1].reshape(-1, width),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return values.ravel()[: len(x)]
