"""Reading annotation files and checking what they hold.

Each function raises one error that names the file and the key, and says what
was expected, what was found and what to do. No file can run code.
"""

import json
import pickle
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from types import UnionType
from typing import IO, Any

import numpy as np

from mmssm.utils import safe_pickle

DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    RuntimeError,  # encrypted members, NotImplementedError of zipfile
    SyntaxError,
    KeyError,
    IndexError,
    MemoryError,
    OverflowError,
    UnicodeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
)
"""What reading a file that is not whole may raise."""


def require(path: str, what: str, preparation: str) -> None:
    """Checks that a file exists.

    Args:
        path: The file.
        what: What it is, for the message.
        preparation: Where it comes from, for the message.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{what} {path} does not exist; {preparation}')


def damaged(path: str, what: str, error: Exception) -> ValueError:
    """The error for a file that cannot be read."""
    return ValueError(
        f'{what} {path} ({Path(path).stat().st_size:,} bytes) is damaged or cut '
        f'short ({type(error).__name__}: {error}); fetch or write it again'
    )


def read_npz(path: str, what: str, preparation: str) -> dict[str, np.ndarray]:
    """Reads an ``.npz`` of numbers and fixed-length strings whole.

    Args:
        path: The file.
        what: What it is, for messages.
        preparation: Where it comes from, for messages.

    Returns:
        Its arrays.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or holds objects.
    """
    require(path, what, preparation)
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except DAMAGED as error:
        if 'allow_pickle' in str(error):
            raise ValueError(
                f'{what} {path} holds pickled objects, which may run code and are not '
                'read; write its arrays of numbers alone'
            ) from error
        raise damaged(path, what, error) from error
    except AttributeError as error:  # a single array
        raise ValueError(
            f'{what} {path}: expected an .npz archive, found a single array'
        ) from error


def read_npy(path: str, what: str, preparation: str) -> np.ndarray:
    """Reads an ``.npy`` of numbers; arguments and errors as of :func:`read_npz`."""
    require(path, what, preparation)
    try:
        array = np.load(path, allow_pickle=False)
    except DAMAGED as error:
        raise damaged(path, what, error) from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{what} {path}: expected a single array, found an archive')
    return array


def read_pickle(path: str, what: str, preparation: str) -> Any:
    """Reads a pickle of plain data without running anything it holds.

    Arguments and errors as of :func:`read_npz`.
    """
    require(path, what, preparation)
    try:
        return safe_pickle.load(path, encoding='latin1', objects=True)
    except DAMAGED as error:
        raise damaged(path, what, error) from error


def read_json(path: str, what: str, preparation: str) -> Any:
    """Reads a json file; arguments and errors as of :func:`read_npz`."""
    require(path, what, preparation)
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except DAMAGED as error:
        raise damaged(path, what, error) from error


def read_pickled_member(path: str, key: str, what: str, preparation: str) -> Any:
    """Reads an object that ``np.savez`` pickled, without running anything.

    ``np.load`` reads such a member with :mod:`pickle` alone, which runs what
    the file tells it to.

    Args:
        path: ``.npz`` file.
        key: Name of the array of no dimensions that holds the object.
        what: What the file is, for messages.
        preparation: Where it comes from, for messages.

    Returns:
        The object: plain data.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, has no such member, or asks for code.
    """
    require(path, what, preparation)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix('.npy') for name in archive.namelist()]
            if key not in names:
                raise _ForeignFile(f'expected the array {key}, found {names}')
            with archive.open(f'{key}.npy') as member:
                shape, dtype = _read_header(member)
                if not dtype.hasobject or shape != ():
                    raise _ForeignFile(
                        f'expected {key} to be one pickled object, found an array of '
                        f'shape {shape} and dtype {dtype}'
                    )
                data = safe_pickle.load(member, encoding='latin1', objects=True)
                # to the end of the member: its checksum is tested there
                member.read()
    except _ForeignFile as error:
        raise ValueError(f'{what} {path}: {error}; {preparation}') from None
    except DAMAGED as error:
        raise damaged(path, what, error) from error
    if isinstance(data, np.ndarray) and data.shape == () and data.dtype == object:
        return data.item()
    raise ValueError(f'{what} {path}: {key} is not what np.savez writes')


def read_arrays(
    path: str, keys: Iterable[str], what: str, preparation: str
) -> dict[str, np.ndarray]:
    """Reads some arrays of an ``.npz``, those of objects without running anything.

    Args:
        path: The file.
        keys: Arrays to read; others may hold anything.
        what: What the file is, for messages.
        preparation: Where it comes from, for messages.

    Returns:
        Those of the arrays that the file has.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or an array asks for code.
    """
    require(path, what, preparation)
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            for key in keys:
                if f'{key}.npy' in names:
                    found[key] = _read_array(archive, f'{key}.npy')
    except DAMAGED as error:
        raise damaged(path, what, error) from error
    return found


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(name) as member:
        _, dtype = _read_header(member)
        if dtype.hasobject:
            array = safe_pickle.load(member, encoding='latin1', objects=True)
            member.read()
            if not isinstance(array, np.ndarray):
                raise ValueError(f'{name} holds {type(array).__name__}, not an array')
            return array
    with archive.open(name) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read()
        return array


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of an array in an archive."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    return shape, dtype


class _ForeignFile(Exception):
    """A whole file that is of another kind."""


def require_keys(path: str, where: str, found: Any, keys: Iterable[str]) -> Mapping:
    """Checks that something read from a file is a dict with some keys.

    Args:
        path: The file, for the message.
        where: Where in the file, for the message.
        found: What was read.
        keys: Keys that it must have.

    Returns:
        ``found``.

    Raises:
        ValueError: It is no dict, or keys are missing.
    """
    keys = list(keys)
    if not isinstance(found, Mapping):
        raise ValueError(
            f'{path}: expected {where} to be a dict with {keys}, found '
            f'{type(found).__name__}'
        )
    missing = [key for key in keys if key not in found]
    if missing:
        raise ValueError(
            f'{path}: {where} lacks {missing}, found {sorted(map(str, found))[:12]}'
        )
    return found


def require_list(path: str, where: str, found: Any) -> list:
    """Checks that something read from a file is a list.

    Args:
        path: The file, for the message.
        where: Where in the file, for the message.
        found: What was read.

    Returns:
        ``found``.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(found, list):
        raise ValueError(
            f'{path}: expected {where} to be a list, found {type(found).__name__}'
        )
    return found


def require_types(
    path: str, where: str, found: Any, types: Mapping[str, type | UnionType]
) -> Mapping:
    """Checks that something read from a file is a dict with values of some types.

    Args:
        path: The file, for the message.
        where: Where in the file, for the message.
        found: What was read.
        types: Type by key.

    Returns:
        ``found``.

    Raises:
        ValueError: It is no dict, keys are missing, or a value is of another type.
    """
    require_keys(path, where, found, types)
    for key, kind in types.items():
        if not isinstance(found[key], kind):
            name = getattr(kind, '__name__', str(kind))
            raise ValueError(
                f'{path}: expected {key} of {where} to be {name}, found {found[key]!r}'
            )
    return found


def as_array(path: str, name: str, values: Any) -> np.ndarray:
    """Makes something read from a file an array.

    Raises:
        ValueError: It is a list of lists of unequal lengths.
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f'{path}: {name} is no array: {error}') from error


def check_shape(
    path: str, name: str, array: Any, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Checks that something read from a file is an array of numbers.

    Args:
        path: The file, for the message.
        name: Its key, for the message.
        array: What was read.
        shape: The shape expected; None for any number of frames.

    Returns:
        ``array``.

    Raises:
        ValueError: It is not numbers, or of another shape.
    """
    array = as_array(path, name, array)
    if array.dtype.kind not in 'iufb':
        raise ValueError(
            f'{path}: expected {name} to be numbers, found dtype {array.dtype}'
        )
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        free = ['frames'] + ['any'] * (len(shape) - 1)
        wanted = ', '.join(
            name if size is None else str(size)
            for size, name in zip(shape, free, strict=True)
        )
        raise ValueError(
            f'{path}: expected {name} of shape ({wanted}), found {array.shape}'
        )
    return array


def check_finite(
    path: str, name: str, array: np.ndarray, frames: np.ndarray | None = None
) -> None:
    """Checks that there is no NaN and no infinity.

    Args:
        path: The file, for the message.
        name: The array's key, for the message.
        array: ``(F, ...)``.
        frames: ``(F,)`` names of the frames, for the message.

    Raises:
        ValueError: A frame has one.
    """
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(1)
    if bad.any():
        first = int(bad.argmax())
        label = f'{first} ({frames[first]})' if frames is not None else str(first)
        raise ValueError(
            f'{path}: {name} is NaN or infinite in {bad.sum()} of {len(bad)} frames, '
            f'first in frame {label}; repair or remove them'
        )


def texts(path: str, name: str, values: Any, count: int) -> np.ndarray:
    """Checks that something read from a file is a list of texts.

    Args:
        path: The file, for the message.
        name: Its key, for the message.
        values: List or array of ``str`` or ``bytes``.
        count: How many there must be.

    Returns:
        ``(count,)`` array of ``str``.

    Raises:
        ValueError: They are something else, or another number.
    """
    array = as_array(path, name, values)
    if not isinstance(values, list | tuple | np.ndarray) or not array.ndim:
        found = type(values).__name__
        raise ValueError(f'{path}: expected {count} texts as {name}, found a {found}')
    if len(values) != count:
        raise ValueError(
            f'{path}: expected {count} texts as {name}, one for each frame of the 2D '
            f'joints, found {len(values)}'
        )
    if array.dtype == object:
        kinds = {type(value).__name__ for value in values}
        if not kinds <= {'str', 'str_'}:
            raise ValueError(f'{path}: expected texts as {name}, found {kinds}')
        array = array.astype(str)
    if array.dtype.kind == 'S':
        array = np.char.decode(array, 'latin1')
    if array.dtype.kind != 'U' or array.ndim != 1:
        raise ValueError(
            f'{path}: expected texts as {name}, found {array.dtype} of shape '
            f'{array.shape}'
        )
    return array


def check_inside(path: str, where: str, name: str) -> str:
    """Checks that a file's name, as another file has it, leads out of no folder.

    Args:
        path: The file that has the name, for the message.
        where: Where in it, for the message.
        name: The name.

    Returns:
        ``name``.

    Raises:
        ValueError: It is absolute, goes up with ``..``, or is no name.
    """
    parts = PureWindowsPath(name).parts  # splits at both kinds of slashes
    bad = not name or '..' in parts or '\0' in name
    if bad or name[0] in '/\\' or PureWindowsPath(name).drive:
        raise ValueError(
            f'{path}: {where} names {name!r}, which may lie outside of the folder: '
            "expected a relative path without '..'; do not use this file"
        )
    return name


def match(path: str, name: str, pattern: str, text: str, example: str) -> re.Match:
    """Matches a name in a file against a pattern.

    Raises:
        ValueError: It does not match.
    """
    found = re.fullmatch(pattern, text)
    if found is None:
        raise ValueError(f"{path}: expected {name} like '{example}', found '{text}'")
    return found
