"""No file may run code, and the files of MMEngine and of data sets must be read."""

import builtins
import io
import os
import pickle
import subprocess
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmssm.utils import safe_pickle


class Gadget:
    """Pickles as a call of ``function`` with ``arguments``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(marker):
    """Objects that create ``marker`` when a plain unpickler reads them."""
    command = f'touch {marker}'
    return {
        'os.system': Gadget(os.system, command),
        'subprocess': Gadget(subprocess.check_output, ['touch', str(marker)]),
        'eval': Gadget(eval, f'open({str(marker)!r}, "w")'),
        'exec': Gadget(exec, f'open({str(marker)!r}, "w")'),
        'getattr': Gadget(getattr, dict, 'get'),
        'getattr of a history': Gadget(getattr, HistoryBuffer, '__init__'),
        'import': Gadget(builtins.__import__, 'os'),
        'torch.load': Gadget(torch.load, str(marker)),
        'numpy.load': Gadget(np.load, str(marker), None, True),
        'nested': {'a': [1, (Gadget(os.system, command),)]},
    }


@pytest.mark.parametrize('name', hostile('x'))
@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_hostile_pickle_raises_and_runs_nothing(tmp_path, name, protocol):
    marker = tmp_path / 'ran'
    data = pickle.dumps(hostile(marker)[name], protocol=protocol)
    with pytest.raises(pickle.UnpicklingError, match='not plain data'):
        safe_pickle.loads(data)
    assert not marker.exists()


@pytest.mark.parametrize('name', hostile('x'))
def test_a_hostile_checkpoint_raises_and_runs_nothing(tmp_path, name):
    marker, path = tmp_path / 'ran', tmp_path / 'hostile.pth'
    torch.save({'state_dict': {}, 'meta': hostile(marker)[name]}, path)
    with pytest.raises(pickle.UnpicklingError, match=r'hostile\.pth was not loaded'):
        safe_pickle.load_checkpoint(path)
    assert not marker.exists()


def test_the_gadgets_do_run_when_nothing_holds_them_back(tmp_path):
    marker = tmp_path / 'ran'
    pickle.loads(pickle.dumps(hostile(marker)['os.system']))
    assert marker.exists()


PLAIN = {
    'array': np.arange(6.0).reshape(2, 3),
    'fortran': np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    'big endian': np.arange(3, dtype='>i4'),
    'names': np.array(['S1_Walking', 'S9']),
    'bytes': np.array([b'a', b'bc']),
    'mask': np.array([True, False]),
    'complex': np.array([1 + 2j]),
    'empty': np.zeros((0, 17, 3), np.float32),
    'zero-dimensional': np.array(3.5),
}


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_back_as_they_were(protocol):
    arrays = safe_pickle.loads(pickle.dumps(PLAIN, protocol=protocol))
    for name, array in PLAIN.items():
        assert type(arrays[name]) is np.ndarray
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].flags.writeable


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_comes_back_as_it_was(protocol):
    data = OrderedDict(
        a=(1, 2.5, True, None, 'text', b'bytes', b'', 1 + 2j, 10**30),
        b={3, 4},
        c=frozenset({5}),
        d=bytearray(b'x'),
        e=np.float32(2.5),
        f=[np.int64(7), {'g': np.str_('h')}],
        i=np.dtype('>f8'),
    )
    read = safe_pickle.loads(pickle.dumps(data, protocol=protocol))
    assert read == data
    assert type(read) is OrderedDict
    assert type(read['e']) is np.float32


def test_shared_lists_stay_shared_and_cycles_are_read():
    shared = [np.arange(2)]
    loop = {'shared': shared, 'again': shared}
    loop['self'] = loop
    read = safe_pickle.loads(pickle.dumps(loop))
    assert read['shared'] is read['again']
    assert read['self'] is read


def test_a_python_2_pickle_with_arrays_is_read_as_latin1():
    # What Python 2.7 with NumPy 1.16 writes for {'a': np.array([1., 2.])}.
    data = (
        b'\x80\x02}q\x00U\x01acnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\n'
        b'ndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U'
        b'\x02f8K\x00K\x01\x87Rq\x05(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff'
        b'K\x00tb\x89U\x10\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@tbs.'
    )
    np.testing.assert_array_equal(
        safe_pickle.loads(data, encoding='latin1')['a'], [1.0, 2.0]
    )


class ForgedDtype:
    """An object dtype whose flags say that it holds no objects."""

    def __reduce__(self):
        state = (3, '|', None, None, None, -1, -1, 0)
        return np.dtype, ('O8', False, True), state


class ForgedArray:
    """Makes NumPy follow a pointer that the file chose."""

    def __reduce__(self):
        state = (1, (1,), ForgedDtype(), False, b'A' * 8)
        return np._core.multiarray._reconstruct, (np.ndarray, (0,), b'b'), state


def test_an_object_array_is_refused_before_numpy_sees_its_bytes(tmp_path):
    with pytest.raises(pickle.UnpicklingError, match='not plain data'):
        safe_pickle.loads(pickle.dumps(ForgedArray()))
    torch.save({'x': ForgedArray()}, tmp_path / 'forged.pth')
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.load_checkpoint(tmp_path / 'forged.pth')


OBJECTS = {
    'zero-dimensional': np.array({'a': np.arange(3.0)}, dtype=object),
    'names': np.array(['S1', 'S11'], dtype=object),
    'rows': np.array([[1, 'a', None], [2.5, (3,), b'x']], dtype=object),
    'columns': np.asfortranarray(np.array([[1, 2], [3, 4]], dtype=object)),
    'nested': np.array([np.array([['x']], dtype=object), 1], dtype=object),
    'numbers': np.arange(4),
}


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_object_arrays_of_plain_data_are_read_when_asked_for(protocol):
    data = pickle.dumps(OBJECTS, protocol=protocol)
    read = safe_pickle.loads(data, objects=True)
    for name, array in OBJECTS.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
    np.testing.assert_array_equal(
        read['zero-dimensional'].item()['a'], OBJECTS['zero-dimensional'].item()['a']
    )
    for name in ('names', 'rows', 'columns', 'numbers'):
        np.testing.assert_array_equal(read[name], OBJECTS[name])
    assert read['nested'][0].tolist() == [['x']]
    with pytest.raises(pickle.UnpicklingError, match='not plain data'):
        safe_pickle.loads(data)


def test_a_hostile_object_array_raises_and_runs_nothing(tmp_path):
    marker = tmp_path / 'ran'
    for gadget in hostile(marker).values():
        data = pickle.dumps(np.array([1, gadget], dtype=object))
        with pytest.raises(pickle.UnpicklingError):
            safe_pickle.loads(data, objects=True)
    assert not marker.exists()
    for forged in (ForgedArray(), ForgedDtype()):
        try:
            # a forged dtype is harmless: its flags are not used
            read = safe_pickle.loads(pickle.dumps(forged), objects=True)
        except pickle.UnpicklingError:
            continue
        assert read == np.dtype(object) and read.flags == np.dtype(object).flags


def test_an_object_array_may_hold_itself():
    loop = np.empty(2, object)
    items = [loop]
    loop[:] = [items, 5]
    read = safe_pickle.loads(pickle.dumps(loop), objects=True)
    assert read[0][0] is read and read[1] == 5


@pytest.mark.parametrize('kind', ['tuple', 'array'])
def test_data_that_doubles_at_each_level_is_read_at_once(kind):
    data = ()
    for _ in range(60):
        data = (data, data)
        if kind == 'array':
            data = np.fromiter([data, data], object, 2)
    read = safe_pickle.loads(pickle.dumps(data), objects=True)
    assert read[0] is read[1]


class Forged:
    """Pickles as ``function(*arguments)`` followed by ``state``."""

    def __init__(self, function, arguments, state=None):
        self.parts = (function, arguments, state)

    def __reduce__(self):
        return self.parts


FLOAT = np.dtype('f8')


@pytest.mark.parametrize(
    'forged',
    [
        Forged(np.dtype, ('f8', False, True), (3, '<', FLOAT, None, None, -1, -1, 0)),
        Forged(np.dtype, ('f8', False, True), (3, 'x', None, None, None, -1, -1, 0)),
        Forged(np.dtype, ([('a', 'f8')],)),
        Forged(np.dtype, ('V8', False, True)),
        Forged(np._core.multiarray.scalar, (FLOAT, b'short')),
        Forged(np._core.multiarray.scalar, ('f8', b'12345678')),
        Forged(
            np._core.multiarray._reconstruct,
            (np.ndarray, (0,), b'b'),
            (1, (9,), FLOAT, False, b'12345678'),
        ),
        Forged(
            np._core.multiarray._reconstruct,
            (np.ndarray, (0,), b'b'),
            (1, (-1,), FLOAT, False, b'12345678'),
        ),
        Forged(
            np._core.multiarray._reconstruct,
            (np.ndarray, (0,), b'b'),
            (1, (1,), FLOAT, False, [1.0]),
        ),
        Forged(np._core.multiarray._reconstruct, (list, (0,), b'b')),
        Forged(np.ndarray, ((3,),)),
        Forged(__import__('_codecs').encode, ('x', 'rot13')),
    ],
)
def test_a_forged_array_is_refused(forged):
    with pytest.raises(pickle.UnpicklingError):
        safe_pickle.loads(pickle.dumps(forged, protocol=2))


def test_a_pickle_cannot_change_the_reader():
    # Pushes the class, then sets attributes on it through BUILD.
    data = b'cnumpy.core.multiarray\nscalar\nN}X\x06\x00\x00\x00finishK\x01s\x86b.'
    with pytest.raises(pickle.UnpicklingError, match='tries to change'):
        safe_pickle.loads(data)
    assert safe_pickle.loads(pickle.dumps(np.dtype('f4'))) == np.dtype('f4')


def test_extra_names_are_read_only_when_given():
    data = pickle.dumps(Gadget(range, 3))
    with pytest.raises(pickle.UnpicklingError, match='range'):
        safe_pickle.loads(data)
    assert safe_pickle.loads(data, extra={'builtins.range': range}) == range(3)


@pytest.mark.parametrize('kept', [0, 1, 40, -1])
def test_a_truncated_pickle_says_so(tmp_path, kept):
    path = tmp_path / 'cut.pkl'
    path.write_bytes(pickle.dumps(PLAIN)[:kept])
    with pytest.raises(pickle.UnpicklingError, match=r'cut\.pkl'):
        safe_pickle.load(path)


def test_a_pickle_is_read_from_a_path_and_from_a_file(tmp_path):
    path = tmp_path / 'data.pkl'
    path.write_bytes(pickle.dumps([1, 2]))
    assert safe_pickle.load(path) == safe_pickle.load(str(path)) == [1, 2]
    assert safe_pickle.load(io.BytesIO(path.read_bytes())) == [1, 2]
    with pytest.raises(FileNotFoundError):
        safe_pickle.load(tmp_path / 'absent.pkl')


def getstate_with_functions(history):
    """What ``HistoryBuffer`` of MMEngine 0.10 pickles."""
    methods = {
        name: getattr(HistoryBuffer, name) for name in ('min', 'max', 'mean', 'current')
    }
    return {**vars(history), 'statistics_methods': methods}


def test_a_released_checkpoint_is_read_with_its_logs(tmp_path, monkeypatch):
    monkeypatch.setattr(HistoryBuffer, '__getstate__', getstate_with_functions)
    path = tmp_path / 'released.pth'
    checkpoint = {
        'state_dict': OrderedDict(weight=torch.arange(3.0)),
        'meta': {'dataset_meta': {'sigmas': np.ones(17)}, 'seed': np.int64(3)},
        'message_hub': {
            'log_scalars': OrderedDict(loss=HistoryBuffer([1.0, 3.0], [1, 1]))
        },
    }
    torch.save(checkpoint, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    read = safe_pickle.load_checkpoint(path)
    loss = read['message_hub']['log_scalars']['loss']
    assert type(loss) is HistoryBuffer
    assert (loss.mean(), loss.max()) == (2.0, 3.0)
    assert loss.statistics('min') == 1.0
    torch.testing.assert_close(read['state_dict']['weight'], torch.arange(3.0))
    np.testing.assert_array_equal(read['meta']['dataset_meta']['sigmas'], np.ones(17))
    assert read['meta']['seed'] == 3


@pytest.mark.parametrize('kept', [0, 100, 0.5, -1])
def test_a_truncated_checkpoint_says_so(tmp_path, kept):
    path = tmp_path / 'cut.pth'
    torch.save({'state_dict': {'weight': torch.zeros(1000)}}, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match='not a whole checkpoint'):
        safe_pickle.load_checkpoint(path)


def test_the_rules_of_others_are_left_as_they_were(tmp_path):
    path = tmp_path / 'range.pth'
    torch.save(Gadget(range, 3), path)
    before = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([range, np.dtype]):
        assert safe_pickle.load_checkpoint(path) == range(3)
        assert set(torch.serialization.get_safe_globals()) == {*before, range, np.dtype}
    assert set(torch.serialization.get_safe_globals()) == set(before)
