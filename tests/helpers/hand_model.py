"""Hand models in MANO's layout, and its official pickle."""

import pickle
import struct
from typing import ClassVar

import numpy as np

from mmssm.geometry.hand_model import ROOT_PARENT

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def hand_arrays(vertices=30, parents=PARENTS, shapes=4, seed=0):
    """Arrays under MANO's keys."""
    rng = np.random.default_rng(seed)
    joints = len(parents)
    weights = rng.random((vertices, joints)) ** 4
    regressor = rng.random((joints, vertices))
    roots = [ROOT_PARENT if parent < 0 else parent for parent in parents]
    return {
        'v_template': rng.normal(0, 0.05, (vertices, 3)),
        'f': rng.integers(0, vertices, (2 * vertices, 3)).astype(np.uint32),
        'shapedirs': rng.normal(0, 0.01, (vertices, 3, shapes)),
        'posedirs': rng.normal(0, 0.001, (vertices, 3, 9 * (joints - 1))),
        'J_regressor': regressor / regressor.sum(1, keepdims=True),
        'kintree_table': np.array([roots, range(joints)], np.uint32),
        'weights': weights / weights.sum(1, keepdims=True),
        'hands_mean': rng.normal(0, 0.2, 3 * (joints - 1)),
    }


def mirrored_hand_arrays(path):
    """The left hand that is a right hand's mirror image in x."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != 'joint_frames'}
    flip = np.array([-1, 1, 1])
    arrays['v_template'] = arrays['v_template'] * flip
    arrays['J'] = arrays['J'] * flip
    arrays['shapedirs'] = arrays['shapedirs'] * flip[:, None]
    # a mirrored rotation: elements with one x in row or column change their sign
    features = arrays['posedirs'].reshape(-1, 3, 15, 9) * np.outer(flip, flip).ravel()
    features = features * flip[:, None, None]
    arrays['posedirs'] = features.reshape(arrays['posedirs'].shape)
    turn = np.tile([1, -1, -1], 15)
    arrays['hands_mean'] = arrays['hands_mean'] * turn
    arrays['hands_components'] = arrays['hands_components'] * turn
    arrays['f'] = arrays['f'][:, ::-1]
    return arrays


class _Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote strings, and classes of absent libraries."""

    def save_string(self, value):
        self.write(pickle.BINSTRING + struct.pack('<i', len(value)) + value)
        self.memoize(value)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, bytes: save_string}

    def save_global(self, obj, name=None):
        if obj.__module__.split('.')[0] not in ('chumpy', 'scipy'):
            super().save_global(obj, name)
            return
        self.write(pickle.GLOBAL + f'{obj.__module__}\n{obj.__name__}\n'.encode())
        self.memoize(obj)


def foreign(module, name, **state):
    """An object of a class of a library that is not there."""
    made = type(name, (), {'__module__': module})()
    made.__dict__.update(state)
    return made


def mano_contents(arrays):
    """What the official pickle of a model holds, chumpy and SciPy imitated."""
    shapedirs = arrays['shapedirs']
    double = np.concatenate([shapedirs, 7 + shapedirs], -1)
    every = np.arange(double.size).reshape(double.shape)
    chosen = every[..., : shapedirs.shape[-1]]
    regressor = np.asarray(arrays['J_regressor'], np.float64)
    columns, rows = np.nonzero(regressor.T)
    ends = np.searchsorted(columns, np.arange(regressor.shape[1] + 1))
    return {
        **arrays,
        'shapedirs': foreign(
            'chumpy.reordering',
            'Select',
            a=foreign('chumpy.ch', 'Ch', x=double, _dirty_vars={'x'}, _itr=None),
            idxs=chosen.ravel(),
            preferred_shape=chosen.shape,
        ),
        'J_regressor': foreign(
            'scipy.sparse.csc',
            'csc_matrix',
            _shape=regressor.shape,
            data=regressor[rows, columns],
            indices=rows.astype(np.int32),
            indptr=ends.astype(np.int32),
            maxprint=50,
        ),
        'bs_style': 'lbs',
        'bs_type': 'lrotmin',
        'hands_coeffs': np.zeros((3, 45)),
    }


def write_mano_pickle(path, contents, protocol=2):
    """Writes as Python 2 and NumPy 1 did."""
    with open(path, 'wb') as file:
        _Python2Pickler(file, protocol).dump(contents)
    old = path.read_bytes().replace(b'numpy._core.', b'numpy.core.')
    path.write_bytes(old)
    return path
