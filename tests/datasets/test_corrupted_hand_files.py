"""Hundreds of spoiled files of hands: each is read as far as it is whole, or named."""

import json
import pickle
import warnings
from pathlib import Path

import mmpose
import numpy as np
import pytest
import yaml
from helpers import (
    assemblyhands,
    dexycb,
    freihand,
    hamer,
    hint,
    ho3d,
    interhand,
    nyu,
    rhd,
)
from helpers.spoiling import spoil_bytes, spoil_contents
from mmengine.config import Config
from mmengine.registry import DATASETS
from scipy.io import loadmat, savemat

from mmssm.datasets import dexycb_files

BYTES, CONTENTS = 40, 60
"""Spoiled copies of each file, by bytes and by contents."""


def plain(value):
    """What json and yaml can hold of something foreign."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def save_json(path, contents):
    path.write_text(json.dumps(plain(contents)))


def save_yaml(path, contents):
    path.write_text(yaml.safe_dump(plain(contents)))


def save_pickle(path, contents):
    path.write_bytes(pickle.dumps(contents))


def save_arrays(path, contents):
    save = np.savez if path.suffix == '.npz' else savemat
    arrays = {key: value for key, value in contents.items() if value is not None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            save(path, **arrays) if save is np.savez else save(path, arrays)
    except (ValueError, TypeError):  # nothing that the format can hold
        path.write_bytes(b'')


def build(kind, **arguments):
    # MMEngine collects garbage after it serialized a dataset, a quarter of a second
    settings = {'type': f'mmssm.{kind}', 'serialize_data': False, **arguments}
    return lambda: DATASETS.build(settings)


def lay_freihand(folder):
    freihand.write(folder)
    read = build('FreiHAND3DDataset', data_root=str(folder), with_mano=True)
    for name in ('K', 'xyz', 'mano'):
        path = folder / f'training_{name}.json'
        yield path, json.loads(path.read_text()), save_json, read


def lay_interhand(folder):
    # read once: a config takes longer than all the rest
    configs = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets'
    metainfo = Config.fromfile(configs / 'interhand3d.py').dataset_info.to_dict()
    arguments = interhand.write(folder)
    read = build('InterHand3DDataset', **arguments, metainfo=metainfo)
    for key in ('ann_file', 'camera_param_file', 'joint_file'):
        path = folder / arguments[key]
        yield path, json.loads(path.read_text()), save_json, read


def lay_assemblyhands(folder):
    arguments = assemblyhands.write(folder)
    read = build('AssemblyHandsDataset', **arguments)
    for path in sorted((folder / 'annotations/train').glob('*.json')):
        yield path, json.loads(path.read_text()), save_json, read


def lay_rhd(folder):
    rhd.write(folder)
    path = folder / 'training/anno_training.pickle'
    read = build('RHD3DDataset', data_root=str(folder), hands='both')
    yield path, rhd.data(), save_pickle, read


def lay_nyu(folder):
    nyu.write(folder)
    arguments = {'data_root': str(folder), 'center_file': 'nyu_center_train.mat'}
    for name in ('train/joint_data.mat', 'nyu_center_train.mat'):
        path = folder / name
        data = {key: value for key, value in loadmat(path).items() if key[0] != '_'}
        yield path, data, save_arrays, build('NYUHandDataset', **arguments)


def lay_dexycb(folder):
    arguments = dexycb.write(folder, subjects=(6,), images=False)
    read = build('DexYCBDataset', **arguments, setup='s1', split='val')
    recording = folder / dexycb_files.SUBJECTS[6] / dexycb.SEQUENCES[0]
    serial = dexycb_files.SERIALS[0]
    label = recording / serial / 'labels_000000.npz'
    yield label, dict(np.load(label)), save_arrays, read
    camera = folder / f'calibration/intrinsics/{serial}_640x480.yml'
    for path in (recording / 'meta.yml', camera):
        yield path, yaml.safe_load(path.read_text()), save_yaml, read


def lay_dexycb_index(folder):
    path = folder / 'index.npz'
    contents = dexycb.index(sequences=2)
    np.savez(path, **contents)
    arguments = {'index_file': str(path), 'setup': 's2', 'partial': True}
    yield path, contents, save_arrays, build('DexYCBDataset', **arguments)


def lay_ho3d(folder):
    read = build('HO3DDataset', **ho3d.write(folder))
    path = folder / 'train/SM1/meta/0000.pkl'
    yield path, ho3d.data()['SM1/0000'], save_pickle, read


def lay_hint(folder):
    entries = hint.data()
    read = build('HIntDataset', **hint.write(folder, entries))
    path = folder / 'TEST_newdays_img/b_r.json'
    yield path, entries['b_r'], save_json, read


def lay_hamer_npz(folder):
    arrays = hamer.npz()
    read = build('HandMeshNpzDataset', **hamer.write_npz(folder, arrays))
    yield folder / 'test.npz', arrays, save_arrays, read


def lay_hamer_tars(folder):
    hamer.write_tar(folder / '0.tar')
    build_it = build('HandMeshTarDataset', data_root=str(folder))

    def read():
        dataset = build_it()
        for sample in range(len(dataset)):
            dataset.get_data_info(sample)

    def save(path, entries):
        contents = hamer.members(images=1)
        contents['set/000.data.pyd'] = pickle.dumps(entries)
        hamer.write_tar(path, contents)

    entries = pickle.loads(hamer.members(images=1)['set/000.data.pyd'])
    yield folder / '0.tar', entries, save, read


LAYOUTS = {
    'freihand': (lay_freihand, 30),
    'interhand': (lay_interhand, 40),
    'assemblyhands': (lay_assemblyhands, 30),
    'rhd': (lay_rhd, 50),
    'nyu': (lay_nyu, 40),
    'dexycb': (lay_dexycb, 30),
    'dexycb_index': (lay_dexycb_index, 40),
    'ho3d': (lay_ho3d, 30),
    'hint': (lay_hint, 40),
    'hamer_npz': (lay_hamer_npz, 40),
    'hamer_tars': (lay_hamer_tars, 30),
}
"""What lays out a data set and its files, and the fewest refusals of each file."""


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
@pytest.mark.parametrize('name', LAYOUTS)
def test_a_spoiled_file_is_named_or_read(name, tmp_path, capsys):
    rng = np.random.default_rng(0)
    lay, least = LAYOUTS[name]
    for path, contents, save, read in lay(tmp_path):
        whole = path.read_bytes()
        read()
        refused = 0
        for attempt in range(BYTES + CONTENTS):
            if attempt < BYTES:
                path.write_bytes(spoil_bytes(whole, rng))
            else:
                save(path, spoil_contents(contents, rng))
            try:
                read()
            except (ValueError, FileNotFoundError) as error:
                assert str(tmp_path) in str(error), str(error)
                refused += 1
        # the rest hold other numbers, or are spoiled where nothing is read
        assert refused >= least, path
        path.write_bytes(whole)
