"""Spoiling what files hold, in hundreds of ways."""

import copy

import numpy as np


def spoil_bytes(data, rng):
    """Cuts a file short, or changes, drops or adds bytes."""
    data = bytearray(data)
    place = int(rng.integers(len(data)))
    size = int(rng.integers(1, 200))
    kind = rng.integers(5)
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for position in rng.integers(len(data), size=20):
            data[position] ^= int(rng.integers(1, 256))
    elif kind == 2:
        data[place : place + size] = bytes(len(data[place : place + size]))
    elif kind == 3:
        del data[place : place + size]
    else:
        data[place:place] = rng.bytes(size)
    return bytes(data)


def places(data, path=()):
    """Every place in nested dicts and lists, as keys from the root."""
    items = []
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list) and len(data) < 5:
        items = list(enumerate(data))
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def spoil_value(value, rng):
    """Another value, of a wrong kind, size or content."""
    foreign = [
        None,
        'text',
        -7,
        [],
        {},
        np.zeros(()),
        np.array(['a', 'b']),
        np.zeros((3, 3)),
        {'x': np.zeros(2)},
        b'bytes',
        float('nan'),
        [np.zeros(2), np.zeros((2, 3))],
        [[1], [2, 3]],
        np.array([{'a': 1}, None], dtype=object),
    ]
    if isinstance(value, np.ndarray) and value.ndim and value.dtype.kind == 'f':
        worse = value.copy()
        worse.flat[int(rng.integers(value.size))] = rng.choice([np.nan, np.inf])
        foreign += [worse, value[:-1], value[..., :-1], np.concatenate([value] * 2)]
        foreign += [value[:0], value[None], value.astype(str), worse, value[..., :-1]]
    return foreign[int(rng.integers(len(foreign)))]


def spoil_contents(data, rng):
    """Drops a key, or puts something else in its place."""
    data = copy.deepcopy(data)
    all_places = list(places(data))
    *path, key = all_places[int(rng.integers(len(all_places)))]
    parent = data
    for step in path:
        parent = parent[step]
    if rng.random() < 0.2:
        del parent[key]
    else:
        parent[key] = spoil_value(parent[key], rng)
    return data
