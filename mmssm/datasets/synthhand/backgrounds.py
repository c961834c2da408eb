"""Procedural backgrounds, linear RGB."""

import cv2
import numpy as np

from mmssm.datasets.synthhand.colours import to_linear

Size = tuple[int, int]


def sample_background(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Draws a background.

    Args:
        rng: Source of randomness.
        size: Height and width, pixels.

    Returns:
        ``(H, W, 3)`` float32, linear RGB, 0 to 1.
    """
    kind = rng.choice(4, p=[0.2, 0.3, 0.2, 0.3])
    picture = (_gradient, _clutter, _stripes, _clouds)[kind](rng, size)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 4.0))
    return to_linear(np.clip(picture, 0, 1)).astype(np.float32)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """A stored colour, seldom a strong one."""
    grey = rng.beta(1.4, 1.4)
    return np.clip(grey + rng.normal(0, rng.choice([0.05, 0.2]), 3), 0, 1)


def _gradient(rng: np.random.Generator, size: Size) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    share = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)
    picture = share[..., None] * _colour(rng) + (1 - share[..., None]) * _colour(rng)
    return (picture + 0.02 * _noise(rng, size, 3)[..., None]).astype(np.float32)


def _clouds(rng: np.random.Generator, size: Size) -> np.ndarray:
    share = 0.5 + 0.3 * _noise(rng, size, int(rng.integers(2, 6)))
    share = np.clip(share, 0, 1)[..., None]
    detail = 0.04 * _noise(rng, size, 40)[..., None]
    return (share * _colour(rng) + (1 - share) * _colour(rng) + detail).astype(
        np.float32
    )


def _clutter(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Things on a shelf, or people in the street, out of focus."""
    picture = _gradient(rng, size)
    height, width = size
    for _ in range(int(rng.integers(6, 26))):
        colour = tuple(_colour(rng).tolist())
        center = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        a, b = (int(v) for v in rng.uniform(0.02, 0.3, 2) * max(size) + 2)
        angle = rng.uniform(0, 180)
        if rng.random() < 0.5:
            corners = cv2.boxPoints(
                (center, (2 * a, 2 * b), angle * (rng.random() < 0.4))
            )
            cv2.fillPoly(picture, [corners.astype(np.int32)], colour)
        else:
            cv2.ellipse(picture, center, (a, b), angle, 0, 360, colour, -1)
    return picture + (0.03 * _noise(rng, size, 30)[..., None]).astype(np.float32)


def _stripes(rng: np.random.Generator, size: Size) -> np.ndarray:
    """Boards, tiles, cloth."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: size[0], : size[1]] / max(size)
    warp = 0.02 * _noise(rng, size, 4)
    along = x * np.cos(angle) + y * np.sin(angle) + warp
    across = y * np.cos(angle) - x * np.sin(angle) + warp
    count = rng.uniform(3, 14)
    wave = np.clip(4 * np.sin(2 * np.pi * count * along), -1, 1)
    if rng.random() < 0.5:
        wave = wave * np.clip(4 * np.sin(2 * np.pi * count * across), -1, 1)
    share = (0.5 + 0.5 * wave)[..., None]
    picture = share * _colour(rng) + (1 - share) * _colour(rng)
    return (picture + 0.04 * _noise(rng, size, 50)[..., None]).astype(np.float32)


def _noise(rng: np.random.Generator, size: Size, cells: int) -> np.ndarray:
    """Smooth noise ``(H, W)`` of about unit variance, ``cells`` bumps across."""
    total = np.zeros(size, np.float32)
    for octave in range(3):
        n = cells * 2**octave + 2
        grid = rng.normal(0, 0.5**octave, (n, n)).astype(np.float32)
        total += cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC)
    return total
