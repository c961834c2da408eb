"""Samples of a map and their scan in float64 NumPy: what the ops are held to.

Nothing here knows PyTorch or the kernels. Every tap of every token is looked up by
itself; only the channels of a group are arrays.
"""

import itertools
import math

import numpy as np

from helpers import scan_oracle


def samples(x, offset, weight, anchors, size):
    """Returns the weighted sums of the samples, ``(N, L, E)``."""
    u = np.zeros(x.shape)
    for n, token, g, m in itertools.product(*map(range, offset.shape[:4])):
        channels, scale = _of_tap(x, offset, weight, n, token, g, m)
        place = _place(offset, anchors, size, n, token, g, m)
        for corner, share, *_ in _corners(place, size):
            u[n, token, channels] += scale * share * x[n, corner, channels]
    return u


def sample_gradients(du, x, offset, weight, anchors, size):
    """Returns the gradients of ``x``, ``offset`` and ``weight``, by name."""
    grads = {'x': np.zeros(x.shape), 'offset': np.zeros(offset.shape)}
    grads['weight'] = np.zeros(weight.shape)
    for n, token, g, m in itertools.product(*map(range, offset.shape[:4])):
        channels, scale = _of_tap(x, offset, weight, n, token, g, m)
        place = _place(offset, anchors, size, n, token, g, m)
        given = du[n, token, channels]
        for corner, share, by_row, by_column in _corners(place, size):
            value = x[n, corner, channels]
            grads['x'][n, corner, channels] += scale * share * given
            along = (scale * given * value).sum()
            grads['offset'][n, token, g, m] += along * np.array([by_row, by_column])
            if weight.ndim == 2:
                grads['weight'][channels, m] += share * given * value
            else:
                grads['weight'][n, token, g, m] += share * (given * value).sum()
    return grads


def deform_scan(
    x, offset, weight, anchors, size, dt, A, B, C, D, dt_bias, dt_weight,
    index, steps, segment,
):  # fmt: skip
    """Returns ``y (N, L, E)``."""
    u = samples(x, offset, weight, anchors, size)
    y, _ = scan_oracle.path_scan(
        [u], dt, A, B, C, None, dt_bias, index, steps, segment, dt_weight, None
    )
    return y if D is None else y + D.sum(0) * x


def deform_scan_gradients(
    grad_y, x, offset, weight, anchors, size, dt, A, B, C, D, dt_bias, dt_weight,
    index, steps, segment,
):  # fmt: skip
    """Returns the gradient of every argument that is there, by its name."""
    N, E, d_state = len(x), *A.shape[1:]
    segments = max(1, -(-x.shape[1] // (segment or max(x.shape[1], 1))))
    grads = scan_oracle.path_scan_gradients(
        grad_y, np.zeros((N, len(steps), segments, E, d_state)),
        [samples(x, offset, weight, anchors, size)], dt, A, B, C, None, dt_bias,
        index, steps, segment, dt_weight, None,
    )  # fmt: skip
    grads |= sample_gradients(grads.pop('x0'), x, offset, weight, anchors, size)
    if D is not None:
        grads['x'] += D.sum(0) * grad_y
        grads['D'] = np.broadcast_to((grad_y * x).sum((0, 1)), D.shape)
    return grads


def _of_tap(x, offset, weight, n, token, g, m):
    """The channels of a tap and what its samples are multiplied with."""
    size = x.shape[2] // offset.shape[2]
    channels = slice(g * size, (g + 1) * size)
    scale = weight[channels, m] if weight.ndim == 2 else weight[n, token, g, m]
    return channels, scale


def _place(offset, anchors, size, n, token, g, m):
    at = np.array(divmod(token, size[1]), dtype=float)
    return at + anchors[m] + offset[n, token, g, m]


def _corners(place, size):
    """Yields token, share and its two derivatives, of corners within the map."""
    row, column = place
    for r, c in itertools.product(
        (math.floor(row), math.floor(row) + 1),
        (math.floor(column), math.floor(column) + 1),
    ):
        if 0 <= r < size[0] and 0 <= c < size[1]:
            of_row, of_column = 1 - abs(row - r), 1 - abs(column - c)
            by_row = of_column * (1 if r > row else -1)
            by_column = of_row * (1 if c > column else -1)
            yield r * size[1] + c, of_row * of_column, by_row, by_column
