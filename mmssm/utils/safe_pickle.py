"""Reading pickles and checkpoints that may come from anyone.

A pickle is a program: loading one with :mod:`pickle` runs whatever its author
wanted. The functions here read plain data only (numbers, strings, containers,
NumPy arrays and scalars, tensors) and raise
:class:`pickle.UnpicklingError` at the first name outside a fixed table.

NumPy's own types are not in that table either. An object array whose pickled
dtype carries forged flags makes NumPy take bytes of the file for Python
objects, so arrays are read by stand-ins that check every field and are turned
into arrays afterwards (:func:`finish`).
"""

import io
import math
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Literal

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_PLAIN_KINDS = 'biufcSU'
_HISTORY_STATISTICS = ('min', 'max', 'current', 'mean')


class _Sealed(type):
    """Keeps a pickle from replacing the methods of a stand-in."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f'a pickle tries to change {cls.__name__}')


class Held(metaclass=_Sealed):
    """Stands for an object of another library: keeps its state, does nothing.

    A subclass for each name goes into ``extra`` of :func:`load`.

    Attributes:
        state: What the pickle says of the object, unfinished: pass it through
            :func:`finish`.
    """

    __slots__ = ('state',)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Ndarray(metaclass=_Sealed):
    """Stands for the type ``numpy.ndarray`` where an array names its class."""

    def __new__(cls, *args: object) -> '_Ndarray':
        raise pickle.UnpicklingError('numpy.ndarray is called directly')


class _Dtype(metaclass=_Sealed):
    """Stands for a ``numpy.dtype`` of numbers or fixed-length strings."""

    __slots__ = ('value',)

    def __init__(self, spec: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(spec, str):
            raise pickle.UnpicklingError(f'a dtype is described by {spec!r}')
        value = np.dtype(spec)
        if value.kind not in _PLAIN_KINDS:
            raise pickle.UnpicklingError(
                f'an array of dtype {spec!r} is not plain data: only numbers and '
                'fixed-length strings are read'
            )
        self.value = value

    def __setstate__(self, state: tuple) -> None:
        _, byte_order, subarray, names, fields = state[:5]
        if byte_order not in ('<', '>', '|', '=') or (subarray, names, fields) != (
            None,
            None,
            None,
        ):
            raise pickle.UnpicklingError(f'a dtype has the state {state!r}')
        self.value = self.value.newbyteorder(byte_order)

    def finish(self) -> np.dtype:
        return self.value


def _checked_shape(shape: object) -> tuple[int, ...]:
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise pickle.UnpicklingError(f'an array has the shape {shape!r}')
    return shape


def _array(
    raw: bytes | str, dtype: object, shape: object, order: Literal['C', 'F']
) -> np.ndarray:
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError(f'an array has {dtype!r} for its dtype')
    if dtype.value.hasobject:
        raise pickle.UnpicklingError('an array of objects is given as bytes')
    if isinstance(raw, str):  # a Python 2 pickle read with encoding='latin1'
        raw = raw.encode('latin1')
    shape = _checked_shape(shape)
    if len(raw) != math.prod(shape) * dtype.value.itemsize:
        raise pickle.UnpicklingError(
            f'an array of shape {shape} and dtype {dtype.value} comes with '
            f'{len(raw)} bytes'
        )
    if not raw:
        return np.empty(shape, dtype.value)
    return np.frombuffer(raw, dtype.value).reshape(shape, order=order).copy(order)


class _Array(metaclass=_Sealed):
    """Stands for an array until its contents have been checked."""

    __slots__ = ('value',)

    def __init__(self, subtype: object, shape: object, dtype: object) -> None:
        if subtype is not _Ndarray:
            raise pickle.UnpicklingError(f'an array is of the class {subtype!r}')

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, raw = state
        if not isinstance(raw, bytes | bytearray | str):
            raise pickle.UnpicklingError('an array holds objects')
        self.value = _array(
            bytes(raw) if not isinstance(raw, str) else raw,
            dtype,
            shape,
            'F' if is_fortran else 'C',
        )

    def finish(self) -> np.ndarray:
        return self.value


class _ObjectDtype(_Dtype):
    """A :class:`_Dtype` that may also be the dtype of objects.

    What the file says about it is not used, so there are no flags to forge.
    """

    def __init__(self, spec: str, align: bool = False, copy: bool = False) -> None:
        if spec in ('O', 'O4', 'O8', '|O'):
            self.value = np.dtype(object)
        else:
            super().__init__(spec, align, copy)

    def __setstate__(self, state: tuple) -> None:
        if not self.value.hasobject:
            super().__setstate__(state)


class _ObjectArray(_Array):
    """An :class:`_Array` that may also hold plain data instead of numbers."""

    __slots__ = ('items',)

    items: list | None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, _, raw = state
        self.items = None
        if not isinstance(dtype, _Dtype) or not dtype.value.hasobject:
            super().__setstate__(state)
            return
        shape = _checked_shape(shape)
        if type(raw) is not list or len(raw) != math.prod(shape):
            raise pickle.UnpicklingError(
                f'an array of {shape} objects comes with something else'
            )
        self.items = raw
        self.value = np.empty(shape, object)

    def finish_items(self, done: dict[int, tuple[Any, Any]]) -> np.ndarray:
        """The array, with what its items stand for."""
        if self.items is not None:
            flat = np.empty(len(self.items), object)
            for i, item in enumerate(self.items):
                flat[i] = _finish(item, done)
            # NumPy writes the items row by row, whatever the array's order
            self.value[...] = flat.reshape(self.value.shape)
        return self.value


class _FromBuffer(metaclass=_Sealed):
    """``numpy._core.numeric._frombuffer``: an array of a protocol 5 pickle."""

    def __new__(cls, raw: bytes, dtype: object, shape: object, order: str) -> Any:
        return _array(bytes(raw), dtype, shape, 'F' if order == 'F' else 'C')


class _Scalar(metaclass=_Sealed):
    """``numpy._core.multiarray.scalar``: one NumPy number or string."""

    def __new__(cls, dtype: object, raw: bytes | str) -> Any:
        return _array(raw, dtype, (), 'C')[()]


class _Encode(metaclass=_Sealed):
    """``_codecs.encode`` as pickle uses it: bytes written as Latin-1 text."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding not in ('latin1', 'latin-1'):
            raise pickle.UnpicklingError(f'bytes are encoded as {encoding!r}')
        return text.encode('latin1')


class _History(metaclass=_Sealed):
    """Stands for MMEngine's ``HistoryBuffer``, less its function table."""

    __slots__ = ('state',)

    def __setstate__(self, state: dict) -> None:
        self.state = state

    def finish(self) -> HistoryBuffer:
        return HistoryBuffer(
            log_history=finish(self.state['_log_history']),
            count_history=finish(self.state['_count_history']),
            max_length=self.state['max_length'],
        )


class _HistoryStatistic(metaclass=_Sealed):
    """``getattr`` as old checkpoints use it, and for nothing else.

    MMEngine up to 0.10 pickles ``HistoryBuffer.min`` and its three siblings
    with every buffer, as ``getattr(HistoryBuffer, 'min')``.
    """

    def __new__(cls, owner: object, name: str) -> Any:
        if owner is not _History or name not in _HISTORY_STATISTICS:
            raise pickle.UnpicklingError(f'getattr is called on {owner!r}, {name!r}')
        return name


_HISTORY: dict[str, Any] = {
    'mmengine.logging.history_buffer.HistoryBuffer': _History,
    'builtins.getattr': _HistoryStatistic,
    '__builtin__.getattr': _HistoryStatistic,
}
_NUMPY: dict[str, Any] = {
    'numpy.ndarray': _Ndarray,
    'numpy.dtype': _Dtype,
    '_codecs.encode': _Encode,
}
for _core in ('numpy.core', 'numpy._core'):
    _NUMPY[f'{_core}.multiarray._reconstruct'] = _Array
    _NUMPY[f'{_core}.multiarray.scalar'] = _Scalar
    _NUMPY[f'{_core}.numeric._frombuffer'] = _FromBuffer
_OBJECTS: dict[str, Any] = {'numpy.dtype': _ObjectDtype}
for _core in ('numpy.core', 'numpy._core'):
    _OBJECTS[f'{_core}.multiarray._reconstruct'] = _ObjectArray
_PLAIN: dict[str, Any] = {'collections.OrderedDict': OrderedDict}
for _type in (set, frozenset, bytes, bytearray, complex):
    for _module in ('builtins', '__builtin__'):  # the latter in protocols 0 to 2
        _PLAIN[f'{_module}.{_type.__name__}'] = _type


def finish(data: Any) -> Any:
    """Turns the stand-ins inside ``data`` into what they stand for.

    Dicts and lists are changed in place, so shared references stay shared.
    """
    return _finish(data, {})


def _finish(data: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """Finishes one piece of data, each shared piece once.

    ``done`` keeps the pieces alive: the number of one that is gone could be
    another's. Without it, tuples of tuples could take forever.
    """
    kind = type(data)
    if kind not in _UNFINISHED:
        return data
    if id(data) in done:
        return done[id(data)][1]
    if kind is _ObjectArray:
        done[id(data)] = data, data.value
        return data.finish_items(done)
    if kind is tuple:
        result: Any = tuple(_finish(item, done) for item in data)
    elif kind in (_Dtype, _ObjectDtype, _Array, _History):
        result = data.finish()
    else:
        result = data
    done[id(data)] = data, result
    if kind in (dict, OrderedDict):
        for key, value in data.items():
            data[key] = _finish(value, done)
    elif kind is list:
        for i, value in enumerate(data):
            data[i] = _finish(value, done)
    return result


_UNFINISHED = frozenset(
    (dict, OrderedDict, list, tuple, _Dtype, _ObjectDtype, _Array, _ObjectArray)
) | {_History}


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: IO[bytes], table: Mapping[str, Any], encoding: str
    ) -> None:
        super().__init__(file, encoding=encoding)
        self._table = table

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._table[f'{module}.{name}']
        except KeyError:
            raise pickle.UnpicklingError(
                f'it asks for {module}.{name}, which is not plain data'
            ) from None


def load(
    source: str | os.PathLike | IO[bytes],
    *,
    extra: Mapping[str, Any] | None = None,
    encoding: str = 'ASCII',
    objects: bool = False,
) -> Any:
    """Reads a pickle of plain data.

    Numbers, strings, bytes, tuples, lists, dicts, ``OrderedDict``, sets, NumPy
    scalars and arrays of numbers or fixed-length strings are read, whatever
    the pickle protocol. Nothing of the file is ever called.

    Args:
        source: Path, or a file opened for reading bytes.
        extra: Further names the file may ask for, ``{'module.name': object}``.
            The file may call these objects with any plain arguments: give
            types that only hold data, such as subclasses of :class:`Held`.
        encoding: How the 8-bit strings of a Python 2 pickle are decoded;
            ``'latin1'`` where they hold arrays.
        objects: Also read arrays of objects, if the objects are plain data.

    Returns:
        The data.

    Raises:
        pickle.UnpicklingError: The file asks for anything else, is damaged or
            is cut short.
        FileNotFoundError: There is no such file.
    """
    if isinstance(source, str | os.PathLike):
        with open(source, 'rb') as file:
            return load(file, extra=extra, encoding=encoding, objects=objects)
    table = {**_PLAIN, **_NUMPY, **(_OBJECTS if objects else {}), **(extra or {})}
    name = getattr(source, 'name', 'pickle')
    try:
        return finish(_Unpickler(source, table, encoding).load())
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(f'{name} was not read: {error}') from None
    except Exception as error:
        # A damaged pickle fails in any of the ways its opcodes can fail.
        raise pickle.UnpicklingError(
            f'{name} is not a whole pickle of plain data '
            f'({type(error).__name__}: {error})'
        ) from error


def loads(data: bytes, **kwargs: Any) -> Any:
    """Reads a pickle of plain data from memory; see :func:`load`."""
    return load(io.BytesIO(data), **kwargs)


@contextmanager
def torch_rules() -> Iterator[None]:
    """Makes ``torch.load(weights_only=True)`` read MMEngine's checkpoints.

    Inside the context PyTorch's restricted unpickler also knows the stand-ins
    of this module; pass what it returns through :func:`finish`.
    """
    ours = {**_NUMPY, **_HISTORY, 'builtins.bytes': bytes}
    before = torch.serialization.get_safe_globals()
    kept = [entry for entry in before if _safe_global_name(entry) not in ours]
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(
        [*kept, *((value, name) for name, value in ours.items())]
    )
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _safe_global_name(entry: Any) -> str:
    if isinstance(entry, tuple):
        return entry[1]
    return f'{entry.__module__}.{entry.__qualname__}'


def load_checkpoint(
    path: str | os.PathLike, map_location: Any = 'cpu'
) -> dict[str, Any]:
    """Reads a checkpoint without running anything it holds.

    Reads what ``torch.load(weights_only=True)`` reads and, beside it, what
    MMEngine puts into its checkpoints: NumPy arrays and scalars and
    ``HistoryBuffer`` logs, those of MMPose's released weights included.

    Args:
        path: File written by ``torch.save``.
        map_location: As for :func:`torch.load`.

    Returns:
        What was saved, usually a dict.

    Raises:
        pickle.UnpicklingError: The file asks for something that is not data.
        ValueError: The file is damaged or cut short, or of another kind.
        FileNotFoundError: There is no such file.
    """
    with open(path, 'rb') as file:
        start = file.read(2)
        file.seek(0)
        if start and start != b'PK' and start[:1] != pickle.PROTO:
            raise ValueError(
                f'{path} is not a whole checkpoint: it is no file of torch.save, which '
                f'is an archive or a pickle; it begins with {start!r}'
            )
        try:
            with torch_rules():
                data = torch.load(file, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            raise pickle.UnpicklingError(
                f'{path} was not loaded: it holds more than weights and plain data, '
                f'and loading the rest could run code. {_first_line(error)}'
            ) from error
        except (RuntimeError, OSError, EOFError) as error:
            raise ValueError(
                f'{path} is not a whole checkpoint: it is damaged or was cut short '
                f'({os.path.getsize(path):,} bytes; {_first_line(error)})'
            ) from error
    return finish(data)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    unsupported = [line for line in lines if 'GLOBAL' in line]
    return (unsupported or lines)[0].split('. ')[0].strip()
