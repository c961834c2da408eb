"""Numbers and names as text inside a page."""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Packed = dict[str, Any]

_LARGEST = 32767
_MISSING = -32768


def pack(values: ArrayLike, dtype: str) -> Packed:
    """An array as base64 of its little-endian numbers, a third longer than those.

    Args:
        values: Any shape; the page takes the numbers row by row.
        dtype: ``'float32'``, ``'int32'`` or ``'uint8'``.
    """
    array = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder('<'))
    return {'dtype': dtype, 'data': base64.b64encode(array.tobytes()).decode()}


def pack_scaled(values: ArrayLike) -> Packed:
    """Like :func:`pack` in half the size: 16-bit integers and what one is worth.

    The largest number is off by at most 1.6e-5 of itself, as are all others: 4
    micrometres on a hand. NaN is kept.

    Args:
        values: Any shape.
    """
    array = np.asarray(values, np.float64)
    known = np.isfinite(array)
    largest = float(np.abs(array[known]).max(initial=0))
    scale = largest / _LARGEST or 1.0
    steps = np.where(known, np.round(np.where(known, array, 0) / scale), _MISSING)
    return {**pack(steps, 'int16'), 'scale': scale}


def json_in_html(data: Any) -> str:
    """JSON that may stand inside a ``<script>`` element whatever its strings hold.

    In JSON, ``<``, ``>`` and ``&`` occur in strings alone, where they can be written
    as escapes: nothing can end the element or begin a comment.

    Raises:
        ValueError: A number is NaN or infinite; arrays that have some are packed.
    """
    text = json.dumps(data, allow_nan=False, separators=(',', ':'))
    for sign in '<>&':
        text = text.replace(sign, f'\\u{ord(sign):04x}')
    return text


def to_float_list(values: ArrayLike, digits: int = 4) -> list[float]:
    """Rounded plain numbers, for the few that stand in the JSON itself."""
    return [round(float(value), digits) for value in np.asarray(values)]
