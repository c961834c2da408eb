"""Dataclasses of arrays: their checks, and their form in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = (6, 7, 8, 9)
"""Significant digits that are tried; nine tell every single-precision number."""


@dataclass(frozen=True)
class ArrayField:
    """What a field that holds an array must look like.

    Attributes:
        shape: Sizes; a letter is a size that all fields with this letter share.
        dtype: What it is brought to.
        optional: Whether it may be None.
        may_miss: Whether NaN (in JSON: null) may stand for a number that is missing.
    """

    shape: tuple[int | str, ...]
    dtype: type = np.float32
    optional: bool = False
    may_miss: bool = False


def take_arrays(owner: Any, fields: Mapping[str, ArrayField], name: str) -> None:
    """Checks the arrays of a frozen dataclass and brings them to their dtypes.

    Args:
        owner: The object.
        fields: Its arrays by name.
        name: What the object is called in errors.

    Raises:
        ValueError: An array has another shape or dtype, or is infinite, or is NaN
            where nothing may be missing.
    """
    sizes: dict[str, int] = {}
    for field, wanted in fields.items():
        value = getattr(owner, field)
        if value is None and wanted.optional:
            continue
        array = _take(np.asarray(value), wanted, sizes, f'{name}: {field}')
        object.__setattr__(owner, field, array)


def _take(
    array: NDArray, wanted: ArrayField, sizes: dict[str, int], name: str
) -> NDArray:
    kinds = {'f': 'iuf', 'i': 'iu', 'b': 'b'}[np.dtype(wanted.dtype).kind]
    expected = tuple(
        sizes.get(size, size) if isinstance(size, str) else size
        for size in wanted.shape
    )
    fits = array.ndim == len(expected) and all(
        isinstance(size, str) or size == found
        for size, found in zip(expected, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        raise ValueError(
            f'{name} must be ({", ".join(map(str, expected))}) of '
            f'{np.dtype(wanted.dtype).name}, got {array.shape} of {array.dtype.name}'
        )
    for size, found in zip(wanted.shape, array.shape, strict=True):
        if isinstance(size, str):
            sizes[size] = found
    array = array.astype(wanted.dtype)
    if array.dtype.kind == 'f':
        wrong = np.isinf(array) if wanted.may_miss else ~np.isfinite(array)
        if wrong.any():
            place = np.argwhere(wrong)[0].tolist()
            raise ValueError(f'{name}{place} is {array[tuple(place)]}')
    return array


def to_lists(array: NDArray) -> Any:
    """Nested lists for JSON: NaN becomes None, single precision its few digits.

    Reading them back as single precision gives the same bits.
    """
    if array.dtype != np.float32:
        return array.tolist()
    short = _shortest(array)
    missing = np.isnan(array)
    if missing.any():
        short = short.astype(object)
        short[missing] = None
    return short.tolist()


def _shortest(array: NDArray[np.float32]) -> NDArray[np.float64]:
    """Doubles that print with few digits and round to the same singles."""
    exact = array.astype(np.float64)
    size = np.abs(np.where(np.isfinite(exact), exact, 0))
    exponent = np.floor(np.log10(np.where(size > 0, size, 1))).astype(np.int64)
    result = exact.copy()
    left = np.isfinite(exact)
    for digits in _DIGITS:
        places = digits - 1 - exponent
        up, down = (10.0 ** np.maximum(sign * places, 0) for sign in (1, -1))
        rounded = np.rint(exact * up / down) * down / up
        same = left & (rounded.astype(np.float32) == array)
        result[same] = rounded[same]
        left &= ~same
    return result


def from_lists(value: Any, wanted: ArrayField, name: str) -> NDArray | None:
    """The array of nested lists out of a JSON file.

    Raises:
        ValueError: They hold anything but numbers (true and false for flags), or
            null where nothing may be missing, or lists of different lengths.
    """
    if value is None and wanted.optional:
        return None
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f'{name}: lists of different lengths') from None
    if array.size == 0:
        return _empty(array, wanted)
    if array.dtype == object and wanted.may_miss:
        kinds = set(map(type, array.ravel().tolist()))
        if kinds <= {int, float, type(None)}:
            array = array.astype(np.float64)
    if array.dtype.kind not in 'iufb':
        raise ValueError(
            f'{name} must be nested lists of numbers, got {_example(array)} among them'
        )
    return array


def _empty(array: NDArray, wanted: ArrayField) -> NDArray:
    """No rows: JSON does not keep the sizes behind them."""
    rest = [0 if isinstance(size, str) else size for size in wanted.shape[1:]]
    shape = (0, *rest) if array.ndim == 1 else array.shape
    return np.zeros(shape, wanted.dtype)


def _example(array: NDArray) -> str:
    if array.dtype.kind == 'U':
        return 'text'
    items = array.ravel().tolist()
    return repr(next(item for item in items if type(item) not in (int, float)))
