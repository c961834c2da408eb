"""MANO's pickle into an npz, by the command line."""

import hashlib
import os
import pickle

import numpy as np
import pytest
from helpers.hand_model import mano_contents, mirrored_hand_arrays, write_mano_pickle
from helpers.modules import load_script

from mmssm.geometry.hand_model import free_hand_file, load_hand_model

converter = load_script('tools/model_converters/mano.py')


def free_arrays():
    with np.load(free_hand_file()) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize('side', ['right', 'left'])
def test_converts_and_says_what_it_was(tmp_path, capsys, side):
    path = free_hand_file()
    arrays = free_arrays() if side == 'right' else mirrored_hand_arrays(path)
    source = write_mano_pickle(tmp_path / 'MANO.pkl', mano_contents(arrays))
    out = tmp_path / 'folder' / 'hand.npz'
    converter.main([str(source), str(out)])
    said = capsys.readouterr().out
    assert f'1159 vertices, 2314 faces, 16 joints, 10 shapes; {side} hand' in said
    for written in (source, out):
        assert hashlib.sha256(written.read_bytes()).hexdigest() in said
    model, direct = load_hand_model(out), load_hand_model(source)
    for name in ('v_template', 'shapedirs', 'posedirs', 'joints', 'hands_components'):
        assert getattr(model, name).equal(getattr(direct, name)), name


class Gadget:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_refuses_and_writes_nothing(tmp_path):
    source, out, marker = (tmp_path / name for name in ('a.pkl', 'a.npz', 'ran'))
    contents = mano_contents(free_arrays())

    def refusal():
        with pytest.raises(SystemExit) as info:
            converter.main([str(source), str(out)])
        assert not out.exists()
        return str(info.value)

    assert 'a.pkl does not exist' in refusal()
    source.write_bytes(pickle.dumps({'v_template': Gadget(f'touch {marker}')}))
    assert 'system, which is not plain data' in refusal()
    assert not marker.exists()
    write_mano_pickle(source, {**contents, 'posedirs': np.zeros((1159, 3, 9))})
    assert "a.pkl, 'posedirs': expected shape (1159, 3, 135)" in refusal()
    write_mano_pickle(source, contents)
    out = tmp_path / 'a.txt'
    assert 'must end in .npz' in refusal()
