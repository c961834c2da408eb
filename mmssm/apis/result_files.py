"""Files of results: JSON to read everywhere, NumPy archives to compute with.

Neither can hold code. Both are strict: a field that is unknown, missing or of
another shape is an error that names the file and the field.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import open_atomically

from ._arrays import ArrayField, from_lists, to_lists
from .results import (
    HAND_ARRAYS,
    PERSON_ARRAYS,
    HandMeshResult,
    HandResult,
    LiftingResult,
    PersonResult,
)

LIFTING_FORMAT = 'mmssm.lifting/1'
HAND_FORMAT = 'mmssm.hand_mesh/1'

UNITS = {
    'image': 'pixels, origin top left',
    '3d': 'metres, camera axes: x right, y down, z forward',
    'angles': 'radians',
    'frames': 'counted from 0',
}

_ROWS = 256
"""Rows of an array that are text at once."""

_FACES = ArrayField(('F', 3), np.int64)
_LIFTING_VALUES = (
    'image_size',
    'fps',
    'num_frames',
    'source',
    'model',
    'frontend',
    'focal_length',
    'notes',
    'joint_names',
    'skeleton_links',
)
_HAND_VALUES = ('image_size', 'fps', 'source', 'model', 'notes', 'frame_names')


class ResultFileError(UserError, ValueError):
    """A file of results is not what it should be."""


def write_lifting_json(path: str | Path, result: LiftingResult) -> None:
    """Writes a lifting result as JSON."""
    content = _head(LIFTING_FORMAT, result, _LIFTING_VALUES)
    persons = [
        {'track_id': int(person.track_id), **_arrays(person, PERSON_ARRAYS)}
        for person in result.persons
    ]
    _write_json(path, {**content, 'persons': persons})


def write_lifting_npz(path: str | Path, result: LiftingResult) -> None:
    """Writes a lifting result as arrays ``person0_frames`` and so on."""
    content = _head(LIFTING_FORMAT, result, _LIFTING_VALUES)
    content['track_ids'] = [int(person.track_id) for person in result.persons]
    arrays: dict[str, NDArray] = {}
    for number, person in enumerate(result.persons):
        arrays |= _named(f'person{number}', person, PERSON_ARRAYS)
    _write_npz(path, content, arrays)


def write_hand_json(path: str | Path, result: HandMeshResult) -> None:
    """Writes a result of hands as JSON."""
    content = _head(HAND_FORMAT, result, _HAND_VALUES)
    frames = [
        [{'side': hand.side, **_arrays(hand, HAND_ARRAYS)} for hand in hands]
        for hands in result.frames
    ]
    _write_json(path, {**content, 'faces': result.faces, 'frames': frames})


def write_hand_npz(path: str | Path, result: HandMeshResult) -> None:
    """Writes a result of hands as arrays ``hand0_vertices`` and so on."""
    content = _head(HAND_FORMAT, result, _HAND_VALUES)
    content['sides'] = [[hand.side for hand in hands] for hands in result.frames]
    arrays = {'faces': result.faces}
    hands = [hand for hands in result.frames for hand in hands]
    for number, hand in enumerate(hands):
        arrays |= _named(f'hand{number}', hand, HAND_ARRAYS)
    _write_npz(path, content, arrays)


def read_lifting(path: str | Path) -> LiftingResult:
    """Reads a lifting result; see :func:`mmssm.apis.read_lifting_result`."""
    file = _ResultFile(path, LIFTING_FORMAT)
    if not file.is_archive:
        values = file.values(('persons', *_LIFTING_VALUES))
        entries = file.expect(values.pop('persons'), list, 'persons')
        persons = [
            file.make(
                PersonResult,
                f'persons[{number}]',
                file.listed(entry, ('track_id',), PERSON_ARRAYS, f'persons[{number}]'),
            )
            for number, entry in enumerate(entries)
        ]
    else:
        values = file.values(('track_ids', *_LIFTING_VALUES))
        track_ids = file.expect(values.pop('track_ids'), list, 'track_ids')
        persons = [
            file.make(
                PersonResult,
                f'person{number}',
                {
                    'track_id': track_id,
                    **file.named(f'person{number}', PERSON_ARRAYS),
                },
            )
            for number, track_id in enumerate(track_ids)
        ]
        file.check_all_read()
    for person in persons:
        file.expect(person.track_id, int, 'track_id')
    return file.make(LiftingResult, 'result', {**values, 'persons': persons})


def read_hand_mesh(path: str | Path) -> HandMeshResult:
    """Reads a result of hands; see :func:`mmssm.apis.read_hand_mesh_result`."""
    file = _ResultFile(path, HAND_FORMAT)
    if not file.is_archive:
        values = file.values(('faces', 'frames', *_HAND_VALUES))
        values['faces'] = file.array(values['faces'], _FACES, 'faces')
        values['frames'] = [
            [
                file.make(
                    HandResult,
                    f'frames[{number}][{place}]',
                    file.listed(
                        entry, ('side',), HAND_ARRAYS, f'frames[{number}][{place}]'
                    ),
                )
                for place, entry in enumerate(
                    file.expect(hands, list, f'frames[{number}]')
                )
            ]
            for number, hands in enumerate(
                file.expect(values['frames'], list, 'frames')
            )
        ]
    else:
        values = file.values(('sides', *_HAND_VALUES))
        values['frames'] = _read_hands(file, values.pop('sides'))
        values['faces'] = file.take('faces')
        file.check_all_read()
    return file.make(HandMeshResult, 'result', values)


def _read_hands(file: '_ResultFile', sides: Any) -> list[list[HandResult]]:
    frames: list[list[HandResult]] = []
    count = 0
    for number, own in enumerate(file.expect(sides, list, 'sides')):
        hands = []
        for side in file.expect(own, list, f'sides[{number}]'):
            name = f'hand{count}'
            hands.append(
                file.make(
                    HandResult, name, {'side': side, **file.named(name, HAND_ARRAYS)}
                )
            )
            count += 1
        frames.append(hands)
    return frames


def _head(form: str, result: Any, names: tuple[str, ...]) -> dict[str, Any]:
    values = {name: _plain(getattr(result, name)) for name in names}
    return {'format': form, 'units': UNITS, **values}


def _plain(value: Any) -> Any:
    """The same with Python's numbers, which JSON needs."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _arrays(owner: Any, fields: Iterable[str]) -> dict[str, NDArray | None]:
    return {name: getattr(owner, name) for name in fields}


def _named(prefix: str, owner: Any, fields: Iterable[str]) -> dict[str, NDArray]:
    arrays = _arrays(owner, fields).items()
    return {f'{prefix}_{name}': array for name, array in arrays if array is not None}


def _write_json(path: str | Path, content: dict[str, Any]) -> None:
    with open_atomically(path) as file:
        for piece in _pieces(content):
            file.write(piece.encode())


def _pieces(value: Any) -> Iterator[str]:
    """JSON bit by bit: lists of numbers take many times the room of an array."""
    if isinstance(value, dict):
        items = (chain([f'{json.dumps(k)}:'], _pieces(v)) for k, v in value.items())
        yield from _enclosed('{', items, '}')
    elif isinstance(value, list):
        yield from _enclosed('[', map(_pieces, value), ']')
    elif isinstance(value, np.ndarray):
        starts = range(0, len(value), _ROWS)
        blocks = ([_rows(value[start : start + _ROWS])] for start in starts)
        yield from _enclosed('[', blocks, ']')
    else:
        yield json.dumps(value, allow_nan=False)


def _enclosed(
    before: str, items: Iterable[Iterable[str]], behind: str
) -> Iterator[str]:
    yield before
    for number, item in enumerate(items):
        if number:
            yield ','
        yield from item
    yield behind


def _rows(array: NDArray) -> str:
    text = json.dumps(to_lists(array), allow_nan=False, separators=(',', ':'))
    return text[1:-1]


def _write_npz(
    path: str | Path, content: dict[str, Any], arrays: dict[str, NDArray]
) -> None:
    text = json.dumps(content, allow_nan=False)
    # bytes, as a string of NumPy takes four times the room
    meta = np.frombuffer(text.encode(), np.uint8)
    columns: dict[str, Any] = {'meta': meta, **arrays}
    with open_atomically(path) as file:
        np.savez_compressed(file, **columns)


class _ResultFile:
    """A file that is being read; every error names it."""

    def __init__(self, path: str | Path, form: str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f'no result file at {self.path}')
        if self.path.suffix not in ('.json', '.npz'):
            raise self.error('a file of results ends in .json or .npz')
        self.is_archive = self.path.suffix == '.npz'
        self.arrays: dict[str, NDArray] = {}
        data = self.path.read_bytes()
        if self.is_archive:
            self.arrays = self._load(data)
            data = self.take('meta').astype(np.uint8).tobytes()
        content = self._parse(data)
        found = content.pop('format', None)
        if found != form:
            raise self.error(f'format: expected {form!r}, found {found!r}')
        content.pop('units', None)
        self._content = content

    def error(self, message: str) -> ResultFileError:
        return ResultFileError(f'{self.path}: {message}')

    def _load(self, data: bytes) -> dict[str, NDArray]:
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                return dict(archive)
        except (
            zipfile.BadZipFile,
            ValueError,
            EOFError,
            OSError,
            KeyError,
            TypeError,  # a single array, which is no archive
        ) as error:
            raise self.error(
                f'not a whole NumPy archive of plain arrays ({error}); write it again '
                'with to_npz'
            ) from error

    def _parse(self, data: bytes) -> dict[str, Any]:
        def refuse(constant: str) -> None:
            raise ValueError(
                f'{constant} is no number of JSON; null is what is missing'
            )

        try:
            content = json.loads(data, parse_constant=refuse)
        except (ValueError, RecursionError) as error:
            raise self.error(f'not whole JSON: {error}') from error
        return self.expect(content, dict, 'the file')

    def expect(self, value: Any, kind: type | tuple[type, ...], name: str) -> Any:
        """The value, if it is of this kind."""
        if not isinstance(value, kind) or isinstance(value, bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            expected = ' or '.join(one.__name__ for one in kinds)
            raise self.error(
                f'{name}: expected {expected}, found {type(value).__name__}'
            )
        return value

    def values(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The plain values of the file, with tuples where results have them."""
        self._check_names(self._content, names, 'the file')
        values = dict(self._content)
        for name in ('notes', 'joint_names', 'frame_names'):
            if name in values:
                values[name] = self._strings(values[name], name)
        for name in ('source', 'model', 'frontend'):
            if name in values:
                self.expect(values[name], str, name)
        values['image_size'] = self._pair(values['image_size'], 'image_size')
        if 'skeleton_links' in values:
            links = self.expect(values['skeleton_links'], list, 'skeleton_links')
            values['skeleton_links'] = tuple(
                self._pair(link, f'skeleton_links[{number}]')
                for number, link in enumerate(links)
            )
        for name in ('fps', 'focal_length'):
            if values.get(name) is not None:
                self.expect(values[name], (int, float), name)
        if 'num_frames' in values:
            self.expect(values['num_frames'], int, 'num_frames')
        return values

    def _strings(self, value: Any, name: str) -> tuple[str, ...]:
        items = self.expect(value, list, name)
        return tuple(
            self.expect(item, str, f'{name}[{number}]')
            for number, item in enumerate(items)
        )

    def _pair(self, value: Any, name: str) -> tuple[int, int]:
        items = self.expect(value, list, name)
        if len(items) != 2:
            raise self.error(f'{name}: expected two numbers, found {len(items)}')
        first, second = (self.expect(item, int, name) for item in items)
        return first, second

    def _check_names(self, found: dict, wanted: tuple[str, ...], name: str) -> None:
        missing = [key for key in wanted if key not in found]
        unknown = [key for key in found if key not in wanted]
        if missing or unknown:
            parts = [f'no field {key!r}' for key in missing]
            parts += [f'an unknown field {key!r}' for key in unknown]
            raise self.error(f'{name} has {", ".join(parts)}')

    def listed(
        self,
        entry: Any,
        plain: tuple[str, ...],
        fields: Mapping[str, ArrayField],
        name: str,
    ) -> dict[str, Any]:
        """The fields of one object out of JSON."""
        self._check_names(self.expect(entry, dict, name), (*plain, *fields), name)
        arrays = {
            field: self.array(entry[field], wanted, f'{name}.{field}')
            for field, wanted in fields.items()
        }
        return {**{key: entry[key] for key in plain}, **arrays}

    def array(self, value: Any, wanted: ArrayField, name: str) -> NDArray | None:
        """An array out of JSON."""
        try:
            return from_lists(value, wanted, name)
        except ValueError as error:
            raise self.error(str(error)) from error

    def named(
        self, prefix: str, fields: Mapping[str, ArrayField]
    ) -> dict[str, NDArray | None]:
        """The arrays of one object out of an archive."""
        return {
            field: None
            if wanted.optional and f'{prefix}_{field}' not in self.arrays
            else self.take(f'{prefix}_{field}')
            for field, wanted in fields.items()
        }

    def take(self, name: str) -> NDArray:
        """An array out of an archive."""
        if name not in self.arrays:
            raise self.error(f'no array {name!r}')
        return self.arrays.pop(name)

    def check_all_read(self) -> None:
        """Refuses an archive with arrays that nothing asked for."""
        if self.arrays:
            raise self.error(f'unknown arrays {sorted(self.arrays)}')

    def make(self, kind: type, name: str, values: dict[str, Any]) -> Any:
        """The object of these values."""
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            raise self.error(f'{name}: {error}') from error
