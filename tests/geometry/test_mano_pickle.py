"""MANO's pickle: read without chumpy, and without running anything."""

import builtins
import os
import pickle

import numpy as np
import pytest
from helpers.hand_model import (
    foreign,
    hand_arrays,
    mano_contents,
    write_mano_pickle,
)

from mmssm.geometry.hand_model import load_hand_model, save_hand_arrays
from mmssm.geometry.mano_pickle import KEYS, read_mano_pickle

ARRAYS = {**hand_arrays(), 'hands_components': np.eye(45)[:6]}

CONTENTS = mano_contents(ARRAYS)


@pytest.mark.parametrize('protocol', [0, 1, 2])
def test_gives_the_arrays(tmp_path, protocol):
    path = write_mano_pickle(tmp_path / 'MANO_RIGHT.pkl', CONTENTS, protocol)
    arrays = read_mano_pickle(path)
    assert set(arrays) == set(ARRAYS) <= set(KEYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_is_the_model_of_the_npz(tmp_path):
    path = write_mano_pickle(tmp_path / 'MANO_RIGHT.pkl', CONTENTS)
    model, other = load_hand_model(path), save_hand_arrays(tmp_path / 'a.npz', ARRAYS)
    assert model.parents == other.parents
    for name in ('shapedirs', 'joints', 'joint_shapedirs', 'hands_components', 'faces'):
        assert getattr(model, name).equal(getattr(other, name)), name


def test_scipy_of_today(tmp_path):
    sparse = pytest.importorskip('scipy.sparse', reason='SciPy writes the matrix')
    path = tmp_path / 'hand.pkl'
    regressor = sparse.csc_matrix(ARRAYS['J_regressor'])
    path.write_bytes(pickle.dumps({**ARRAYS, 'J_regressor': regressor}))
    np.testing.assert_array_equal(
        read_mano_pickle(path)['J_regressor'], ARRAYS['J_regressor']
    )


class Gadget:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(marker):
    """Objects that create ``marker`` when a plain unpickler reads them."""
    touch = f'touch {marker}'
    code = f'open({str(marker)!r}, "w")'
    inside = Gadget(os.system, touch)
    ch = foreign('chumpy.ch', 'Ch', x=inside)
    return {
        'system': inside,
        'eval': Gadget(builtins.eval, code),
        'exec': Gadget(builtins.exec, code),
        'import': Gadget(builtins.__import__, 'os'),
        'getattr': Gadget(getattr, dict, 'get'),
        'numpy': Gadget(np.load, str(marker), None, True),
        'nested': [({'a': (inside,)},)],
        'state': ch,
        'other chumpy': foreign('chumpy.utils', 'timer', n=1),
    }


NAMES = {
    'system': 'posix.system|nt.system',
    'eval': r'(__)?builtins?(__)?\.eval',
    'exec': r'(__)?builtins?(__)?\.exec',
    'import': r'(__)?builtins?(__)?\.__import__',
    'getattr': r'(__)?builtins?(__)?\.getattr',
    'numpy': r'numpy[\w.]*.load',
    'nested': 'posix.system|nt.system',
    'state': 'posix.system|nt.system',
    'other chumpy': 'chumpy.utils.timer',
}


@pytest.mark.parametrize('key', ['v_template', 'comment'])
@pytest.mark.parametrize('name', NAMES)
def test_a_hostile_file_is_refused_by_name(tmp_path, name, key):
    marker, path = tmp_path / 'ran', tmp_path / 'MANO_RIGHT.pkl'
    bad = hostile(marker)[name]
    write_mano_pickle(path, {**ARRAYS, key: bad})
    with pytest.raises(
        pickle.UnpicklingError, match=f'asks for ({NAMES[name]})'
    ) as info:
        load_hand_model(path)
    assert 'MANO_RIGHT.pkl' in str(info.value)
    assert not marker.exists()


def opcodes(*parts):
    return b'\x80\x02' + b''.join(parts) + b'.'


def named(module, name):
    return b'c' + f'{module}\n{name}\n'.encode()


CH, NONE, EMPTY = named('chumpy.ch', 'Ch'), b'N', b')'
OBJECT = named('__builtin__', 'object')
FORGED = {
    # copy_reg._reconstructor(bytearray, object, None), and with a state
    'another class': opcodes(
        named('copy_reg', '_reconstructor'),
        named('__builtin__', 'bytearray'),
        OBJECT,
        NONE + b'\x87R',
    ),
    'a state for the class': opcodes(
        named('copy_reg', '_reconstructor'), CH, OBJECT, b'K\x01\x87R'
    ),
    # Ch.__setstate__ = 1, by BUILD with slots on the class itself
    'changes the class': opcodes(CH, NONE, b'}U\x0c__setstate__K\x01s\x86b'),
    'calls with arguments': opcodes(CH, b'K\x01\x85R'),
    'an array of objects': opcodes(
        named('numpy.core.multiarray', '_reconstruct'),
        named('numpy', 'ndarray'),
        b'K\x00\x85U\x01b\x87R',
        b'(K\x01K\x01\x85',
        named('numpy', 'dtype'),
        b'U\x02O8K\x00K\x01\x87R\x89]K\x01atb',
    ),
    'a class for an array': opcodes(
        named('numpy.core.multiarray', '_reconstruct'), CH, b'K\x00\x85U\x01b\x87R'
    ),
}


@pytest.mark.parametrize('name', FORGED)
def test_a_forged_object_is_refused(tmp_path, name):
    path = tmp_path / 'hand.pkl'
    path.write_bytes(FORGED[name])
    with pytest.raises(pickle.UnpicklingError, match=r'hand\.pkl'):
        read_mano_pickle(path)


def select(**state):
    whole = {'a': np.zeros(6), 'idxs': np.arange(6), 'preferred_shape': (2, 3)}
    return foreign('chumpy.reordering', 'Select', **{**whole, **state})


def csc(**state):
    whole = {
        '_shape': (2, 3),
        'data': np.ones(2),
        'indices': np.array([0, 1]),
        'indptr': np.array([0, 1, 1, 2]),
    }
    return foreign('scipy.sparse.csc', 'csc_matrix', **{**whole, **state})


def nest(depth):
    value = np.zeros(6)
    for _ in range(depth):
        value = foreign('chumpy.ch', 'Ch', x=value)
    return value


FIT, SPARSE = 'do not fit together', 'a sparse matrix of the shape'
BROKEN = {
    'text': ('lbs', 'expected an array, found str'),
    'no x': (foreign('chumpy.ch', 'Ch', y=1), "has no 'x'"),
    'no state': (foreign('chumpy.ch', 'Ch'), 'without its state'),
    'deep': (nest(9), 'too deep a nest'),
    'place': (select(idxs=np.arange(1, 7)), 'idxs: expected numbers 0 to 5, found 1'),
    'negative': (select(idxs=np.arange(-1, 5)), 'numbers 0 to 5, found -1 to 4'),
    'fractions': (select(idxs=np.zeros(6)), 'idxs: expected whole numbers'),
    'shape': (select(preferred_shape=(2, 4)), 'as many elements as the shape'),
    'no shape': (select(preferred_shape=('a',)), 'found the shape'),
    'row': (csc(indices=np.array([0, 2])), 'indices: expected numbers 0'),
    'data': (csc(data=np.ones(3)), FIT),
    'ends': (csc(indptr=np.array([0, 2, 1, 2])), FIT),
    'columns': (csc(indptr=np.array([0, 2])), FIT),
    'matrix': (csc(_shape=(2, 3, 1)), SPARSE),
    'bomb': (csc(_shape=(10**6, 10**6)), SPARSE),
}


@pytest.mark.parametrize('name', BROKEN)
def test_says_what_is_not_whole(tmp_path, name):
    value, message = BROKEN[name]
    path = write_mano_pickle(tmp_path / 'hand.pkl', {**ARRAYS, 'shapedirs': value})
    with pytest.raises(ValueError, match=rf"hand\.pkl, 'shapedirs'.*{message}"):
        read_mano_pickle(path)


def test_other_pickles(tmp_path):
    path = tmp_path / 'hand.pkl'
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match=r'expected a dict .* found a list'):
        load_hand_model(path)
    path.write_bytes(pickle.dumps({'poses': np.zeros(3)}))
    with pytest.raises(ValueError, match=r"has no 'v_template'; found \[\]"):
        load_hand_model(path)
    write_mano_pickle(path, CONTENTS)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(pickle.UnpicklingError, match=r'hand\.pkl was not read'):
        load_hand_model(path)
    with pytest.raises(FileNotFoundError, match=r"MANO's own \.pkl"):
        load_hand_model(tmp_path / 'MANO_RIGHT.pkl')
