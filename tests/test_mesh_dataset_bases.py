"""Bases of hand meshes on which no config of ours stands yield packed batches."""

import numpy as np
from helpers import dexycb, hamer
from helpers.configs import read
from helpers.hand_model import hand_arrays
from helpers.modules import ROOT
from mmengine.runner import Runner

from mmssm.datasets import dexycb_files

BASES = ROOT / 'configs/_base_/datasets'


def first_batch(loader, **dataset):
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.dataset.update(**dataset)
    return next(iter(Runner.build_dataloader(loader, seed=0)))


def check(batch, name):
    assert batch['inputs'][0].shape == (3, 256, 256)
    for sample in batch['data_samples']:
        labels = sample.gt_instance_labels
        assert labels.keypoints_2d.shape == (1, 21, 2)
        assert labels.joints_3d.shape == (1, 21, 3)
        assert labels.hand_pose.shape == (1, 15, 3, 3)
        assert labels.betas.shape == (1, 10)
        assert sample.dataset_name == name


def test_dexycb_with_parameters(tmp_path):
    dexycb.write(tmp_path, subjects=range(10), frames=1, cameras=(0, 2))
    dexycb_files.write_index(str(tmp_path), str(tmp_path / 'index.npz'), partial=True)
    for seed, side in enumerate(('right', 'left')):
        arrays = hand_arrays(shapes=10, seed=seed)
        np.savez(tmp_path / f'{side}.npz', **arrays, hands_components=np.eye(45))
    config = read(BASES / 'dexycb_mesh.py')
    config.train_dataloader.dataset.update(
        hand_model=str(tmp_path / 'right.npz'),
        left_hand_model=str(tmp_path / 'left.npz'),
    )
    for phase in ('train', 'val', 'test'):
        loader = config[f'{phase}_dataloader']
        training = phase == 'train'
        assert loader.dataset.get('test_mode', False) != training
        batch = first_batch(loader, data_root=str(tmp_path), partial=True)
        check(batch, 'dexycb')
        for sample in batch['data_samples']:
            assert sample.gt_instance_labels.has_mano_pose.item() == training


def test_hamers_evaluation_files(tmp_path):
    written = hamer.write_npz(tmp_path)
    config = read(BASES / 'hamer_npz.py')
    for phase in ('val', 'test'):
        batch = first_batch(config[f'{phase}_dataloader'], **written)
        check(batch, 'freihand_val')
