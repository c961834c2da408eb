"""MANO's official file, a Python 2 pickle, without chumpy and without risk.

``MANO_RIGHT.pkl`` holds NumPy arrays, a sparse matrix of SciPy and, for the shape
directions, an object of chumpy, a library that no longer installs. The classes of
both are replaced by holders of their state, from which the arrays are made here;
whatever else a file asks for is refused by name.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mmssm.utils import safe_pickle
from mmssm.utils.safe_pickle import Held

KEYS = (
    'v_template',
    'f',
    'weights',
    'J_regressor',
    'J',
    'kintree_table',
    'parents',
    'shapedirs',
    'posedirs',
    'hands_mean',
    'hands_components',
    'tips',
    'joint_frames',
)
"""What is read; ``bs_type``, ``hands_coeffs`` and others are left alone."""

_MOST_NUMBERS = 10**7
"""Largest matrix that is made of a sparse one; MANO's has 12,448 numbers."""

_DEEPEST = 8
"""Most objects of chumpy within each other."""


class _Ch(Held):
    """``chumpy.ch.Ch``: an array ``x``."""


class _Select(Held):
    """``chumpy.reordering.Select``: elements ``idxs`` of ``a``, and their shape."""


class _Csc(Held):
    """A sparse matrix of SciPy, column by column."""


class _Object(Held):
    """The class ``object``, where Python 2 names what an object is made from."""


class _Reconstructor(Held):
    """``copy_reg._reconstructor`` as protocols 0 and 1 write an object.

    It makes objects of the classes above and of no other.
    """

    def __new__(cls, kind: object, base: object, state: object) -> Any:
        if kind not in (_Ch, _Select, _Csc) or base is not _Object or state is not None:
            raise pickle.UnpicklingError(f'an object is made from {kind!r}')
        return kind()


_NAMES: dict[str, Any] = {
    'chumpy.ch.Ch': _Ch,
    'chumpy.reordering.Select': _Select,
    'scipy.sparse.csc.csc_matrix': _Csc,
    'scipy.sparse._csc.csc_matrix': _Csc,
    'copy_reg._reconstructor': _Reconstructor,
    'copyreg._reconstructor': _Reconstructor,
    '__builtin__.object': _Object,
    'builtins.object': _Object,
}


def read_mano_pickle(path: str | Path) -> dict[str, np.ndarray]:
    """Reads MANO's ``.pkl``. The file cannot run code.

    Models of the same format with other numbers of vertices, joints or shapes are
    read too; :func:`mmssm.geometry.hand_model.load_hand_model` checks how the
    arrays fit together.

    Args:
        path: The file.

    Returns:
        The arrays among :data:`KEYS` that the file has.

    Raises:
        FileNotFoundError: There is no such file.
        pickle.UnpicklingError: The file asks for anything but plain data, chumpy's
            ``Ch`` and ``Select`` and SciPy's ``csc_matrix``, is damaged or is cut
            short.
        ValueError: It is another pickle, or an array is not whole.
    """
    contents = safe_pickle.load(path, extra=_NAMES, encoding='latin1')
    if not isinstance(contents, dict):
        raise ValueError(
            f'hand model {path}: expected a dict with the keys of a MANO model, found '
            f'a {type(contents).__name__}'
        )
    return {
        key: _array(contents[key], f"hand model {path}, '{key}'")
        for key in KEYS
        if key in contents
    }


def _array(value: Any, label: str, depth: int = 0) -> np.ndarray:
    """The array that a piece of the file stands for."""
    if isinstance(value, np.ndarray):
        return value
    if depth == _DEEPEST or not isinstance(value, _Ch | _Select | _Csc):
        raise ValueError(
            f'{label}: expected an array, found '
            f'{"too deep a nest" if depth else type(value).__name__}'
        )
    state = safe_pickle.finish(getattr(value, 'state', None))
    if not isinstance(state, dict):
        raise ValueError(f'{label}: an object comes without its state')
    try:
        if isinstance(value, _Ch):
            return _array(state['x'], label, depth + 1)
        if isinstance(value, _Select):
            return _selected(_array(state['a'], label, depth + 1), state, label)
        return _dense(state, label)
    except KeyError as error:
        raise ValueError(f'{label}: the state of an object has no {error}') from error


def _selected(source: np.ndarray, state: dict, label: str) -> np.ndarray:
    places = _whole(state['idxs'], len(source.ravel()), f'{label}, idxs').ravel()
    shape = _shape(state['preferred_shape'], label)
    if np.prod(shape, dtype=object) != len(places):
        raise ValueError(
            f'{label}: expected as many elements as the shape {shape} has, found '
            f'{len(places)}'
        )
    return source.ravel()[places].reshape(shape)


def _dense(state: dict, label: str) -> np.ndarray:
    shape = _shape(state.get('_shape', state.get('shape')), label)
    if len(shape) != 2 or np.prod(shape, dtype=object) > _MOST_NUMBERS:
        raise ValueError(f'{label}: found a sparse matrix of the shape {shape}')
    rows = _whole(state['indices'], shape[0], f'{label}, indices')
    ends = _whole(state['indptr'], len(rows) + 1, f'{label}, indptr')
    data = np.asarray(state['data'])
    counts = np.diff(ends)
    if (
        data.shape != rows.shape
        or data.dtype.kind not in 'fiu'
        or ends.shape != (shape[1] + 1,)
        or ends[0] != 0
        or ends[-1] != len(rows)
        or (counts < 0).any()
    ):
        raise ValueError(f'{label}: the parts of a sparse matrix do not fit together')
    matrix = np.zeros(shape)
    np.add.at(matrix, (rows, np.repeat(np.arange(shape[1]), counts)), data)
    return matrix


def _whole(value: Any, limit: int, label: str) -> np.ndarray:
    value = np.asarray(value)
    if value.ndim != 1 or value.dtype.kind not in 'iu':
        raise ValueError(
            f'{label}: expected whole numbers in a row, found dtype {value.dtype}, '
            f'shape {value.shape}'
        )
    if value.size and not 0 <= value.min() <= value.max() < limit:
        raise ValueError(
            f'{label}: expected numbers 0 to {limit - 1}, found {value.min()} to '
            f'{value.max()}'
        )
    return value.astype(np.int64)


def _shape(value: Any, label: str) -> tuple[int, ...]:
    if (
        not isinstance(value, tuple | list)
        or not 1 <= len(value) <= 3
        or any(type(size) is not int or size < 0 for size in value)
    ):
        raise ValueError(f'{label}: found the shape {value!r}')
    return tuple(value)
