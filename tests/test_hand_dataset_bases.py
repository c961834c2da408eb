"""Every dataset base of hands yields packed samples, on files of its layout."""

import numpy as np
import pytest
from helpers import assemblyhands, dexycb, freihand, interhand, nyu, rhd
from helpers.configs import read
from helpers.modules import ROOT
from mmengine.runner import Runner
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmssm.datasets import dexycb_files


def write_freihand(folder):
    freihand.write(folder)
    freihand.write(folder, split='evaluation', versions=1)


def write_dexycb(folder):
    dexycb.write(folder, subjects=range(10), frames=1, cameras=(0, 2))
    dexycb_files.write_index(str(folder), str(folder / 'index.npz'), partial=True)


def write_splits(helper, *splits):
    def write(folder):
        for split in splits:
            helper.write(folder, split=split)

    return write


LAYOUTS = {
    'freihand3d': write_freihand,
    'synthhand': write_freihand,
    'rhd3d': write_splits(rhd, 'training', 'evaluation'),
    'nyu': write_splits(nyu, 'train', 'test'),
    'dexycb': write_dexycb,
    'assemblyhands': write_splits(assemblyhands, 'train', 'val'),
    'interhand3d': write_splits(interhand, 'train', 'val', 'test'),
}
CHANNELS = {'nyu': 1}
JOINTS = {'nyu': 14, 'interhand3d': 42}


@pytest.mark.parametrize('name', LAYOUTS)
def test_batches_of_every_phase(name, tmp_path):
    LAYOUTS[name](tmp_path)
    config = read(ROOT / f'configs/_base_/datasets/{name}.py')
    for phase in ('train', 'val', 'test'):
        loader = config[f'{phase}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(tmp_path)
        if name == 'dexycb':
            loader.dataset.partial = True
        assert loader.dataset.get('test_mode', False) == (phase != 'train')
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        assert batch['inputs'][0].shape[0] == CHANNELS.get(name, 3)
        sample = batch['data_samples'][0]
        joints = sample.gt_instances.keypoints_cam
        assert joints.shape == (1, JOINTS.get(name, 21), 3)
        if name == 'interhand3d':
            continue
        assert sample.gt_instances.keypoints.shape == (*joints.shape[:2], 2)
        plane = joints[..., :2] / joints[..., 2:] * sample.focal[:, None]
        pixels = plane + sample.principal_pt[:, None]
        np.testing.assert_allclose(sample.gt_instances.keypoints, pixels, atol=0.01)
        assert sample.root_index == (13 if name == 'nyu' else 0)
        assert sample.dataset_name == name


def test_every_base_is_tested():
    """Those of lifters and of meshes have other samples, and tests of their own."""
    bases = (ROOT / 'configs/_base_/datasets').glob('*.py')
    others = {'train_codec', 'hand_mesh_train_pipeline'}
    hands = {path.stem for path in bases if others.isdisjoint(read(path))}
    assert hands == set(LAYOUTS)


def test_mmposes_joints_are_found_under_the_name_of_our_base(monkeypatch):
    """MMPose looks in the working directory before it looks in its package."""
    monkeypatch.chdir(ROOT)
    path = 'configs/_base_/datasets/interhand3d.py'
    assert parse_pose_metainfo({'from_file': path})['num_keypoints'] == 42
