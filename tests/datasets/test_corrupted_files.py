"""Hundreds of spoiled files: each is read as far as it is whole, or named."""

import pickle
from pathlib import Path

import numpy as np
from helpers import h36m, motionbert, mpi_inf_3dhp
from helpers.spoiling import spoil_bytes, spoil_contents

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
