"""Hundreds of spoiled files: each is read as far as it is whole, or named."""

import copy
import pickle
from pathlib import Path

import numpy as np
from helpers import h36m, motionbert, mpi_inf_3dhp

from mmssm.datasets import h36m_files, motionbert_files, mpi_inf_3dhp_files
from mmssm.datasets.virtual_cameras import fixed_camera

BYTES, CONTENTS = 80, 80
"""Spoiled copies of each layout, by bytes and by contents."""


def save_npz(path, arrays):
    try:
        np.savez(path, **arrays)
    except ValueError:  # lists of unequal lengths are no array
        np.savez(path, S=np.array(None, dtype=object))


def save_object(path, data):
    np.savez_compressed(path, data=np.array(data, dtype=object))


def save_pickle(path, data):
    Path(path).write_bytes(pickle.dumps(data))


def read_cameras(path):
    cameras = h36m_files.read_cameras(path)
    h36m_files.check_cameras(path, cameras, {('S1', '111'), ('S9', '222')})


LAYOUTS = {
    'motionbert.pkl': (
        lambda: motionbert.data([(1, 2, 1, 1, 9)], [(9, 5, 2, 1, 7), (9, 14, 1, 1, 8)]),
        save_pickle,
        lambda path: [motionbert_files.read_split(path, half) for half in HALVES],
    ),
    'pstmo_train.npz': (
        lambda: mpi_inf_3dhp.train_data({'S1 Seq1': (9, ('0', '8'))}),
        save_object,
        mpi_inf_3dhp_files.read_videos,
    ),
    'pstmo_test.npz': (
        lambda: mpi_inf_3dhp.test_data({'TS1': (9, 4), 'TS5': (7, 3)}),
        save_object,
        mpi_inf_3dhp_files.read_videos,
    ),
    'converted.npz': (
        lambda: mpi_inf_3dhp.converted(mpi_inf_3dhp.test_data({'TS1': (9, 4)})),
        save_npz,
        mpi_inf_3dhp_files.read_videos,
    ),
    'h36m.npz': (
        lambda: h36m.videos(S1_Walk__111=9, S9_Photo__222=7),
        save_npz,
        lambda path: h36m_files.read_annotations(path, 17),
    ),
    'cameras.pkl': (
        lambda: {('S1', '111'): fixed_camera(0), ('S9', '222'): fixed_camera(1)},
        save_pickle,
        read_cameras,
    ),
}
"""File name: what it holds, how it is written and what reads it."""

HALVES = ('train', 'test')


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


def refusals(path, layout, rng):
    """How many spoiled copies of a file are refused by an error that names it."""
    make, save, read = layout
    data = make()
    save(path, data)
    whole = path.read_bytes()
    read(str(path))
    refused = 0
    for attempt in range(BYTES + CONTENTS):
        if attempt < BYTES:
            path.write_bytes(spoil_bytes(whole, rng))
        else:
            save(path, spoil_contents(data, rng))
        try:
            read(str(path))
        except ValueError as error:
            assert path.name in str(error), str(error)
            refused += 1
    return refused


def test_a_spoiled_file_is_named_or_read(tmp_path):
    rng = np.random.default_rng(0)
    refused = {
        name: refusals(tmp_path / name, layout, rng) for name, layout in LAYOUTS.items()
    }
    # the rest hold other numbers, or are spoiled where nothing is read
    assert min(refused.values()) > 40
    assert sum(refused.values()) >= 500
