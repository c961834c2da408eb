"""Every lifting dataset base trains and validates a tiny lifter, on its layout."""

import pickle

import numpy as np
import pytest
import torch
from helpers import motionbert, mpi_inf_3dhp
from helpers.configs import read
from helpers.lifting import tiny_model
from helpers.modules import ROOT, load_script
from mmengine.runner import Runner
from mmpose.registry import MODELS

FRAMES = 9
BASES = sorted(
    path
    for path in (ROOT / 'configs/_base_/datasets').glob('*.py')
    if 'train_codec' in read(path)
)
TRAIN = [(1, 2, 1, 1, 20), (1, 2, 2, 1, 20), (5, 14, 1, 4, 20), (6, 5, 1, 2, 20)]
TEST = [(9, 14, 2, 1, 20), (11, 13, 2, 3, 5), (11, 2, 1, 2, 20)]


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """Small sets by the class that reads them."""
    folder = tmp_path_factory.mktemp('data')
    load_script('tools/dataset_converters/mocap.py').export_fold(folder, 0)
    data = motionbert.data(TRAIN, TEST)
    name = 'h36m_sh_conf_cam_source_final.pkl'
    (folder / name).write_bytes(pickle.dumps(data))
    mpi_inf_3dhp.write(folder)
    return str(folder)


def tiny(path, root, work_dir):
    """A config of the base that trains two batches and validates two."""
    config = read(ROOT / 'configs/_base_/default_runtime.py')
    config.merge_from_dict(read(path)._cfg_dict.to_dict())
    channels = 3 if config.train_codec.get('concat_vis') else 2
    config.model = tiny_model(num_frames=FRAMES, in_channels=channels)
    config.model.head.decoder = config.val_codec
    config.model.test_cfg.flip_test = True
    for phase in ('train', 'val', 'test'):
        loader = config[f'{phase}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.update(pin_memory=False, drop_last=False)
        dataset = loader.dataset
        dataset.indices = 4
        if 'data_root' in dataset:
            dataset.data_root = root
        length = 'multiple_target' if 'multiple_target' in dataset else 'seq_len'
        dataset[length] = FRAMES
    config.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    config.optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
    config.work_dir = str(work_dir)
    config.experiment_name = f'{path.stem}_tiny'
    config.log_level = 'ERROR'
    return config


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
def test_a_tiny_lifter_trains_and_validates(path, roots, tmp_path):
    config = tiny(path, roots, tmp_path)
    runner = Runner.from_cfg(config)
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2 and np.isfinite(losses).all()
    names = {key for key in runner.message_hub.log_scalars if key.startswith('val/')}
    expected = {'MPJPE', 'P-MPJPE'}
    if '3dhp' in path.stem:
        expected |= {'PCK@150', 'AUC'}
    else:
        expected |= {'MPJPE_action_mean'}
    if '_gt_' in path.stem:
        expected |= {'MPJPE-given-xy', 'P-MPJPE-given-xy_action_mean'}
    assert {f'val/{name}' for name in expected} <= names


@pytest.mark.parametrize(
    'path', [path for path in BASES if '_gt_' in path.stem], ids=lambda path: path.stem
)
def test_with_given_xy_only_depth_is_wrong(path, roots, tmp_path):
    """A label with its x and y spoiled has no error where they are given."""
    config = tiny(path, roots, tmp_path)
    loader = Runner.build_dataloader(config.val_dataloader, seed=0)
    settings = config.val_dataloader
    for step in settings.dataset.pipeline:
        if step.type == 'GenerateTarget':
            step.encoder = config.train_codec
    with_labels = Runner.build_dataloader(settings, seed=0)
    head = MODELS.build(config.model.head)
    evaluator = Runner.build_evaluator(None, config.val_evaluator)
    for batch, labelled in zip(loader, with_labels, strict=True):
        samples = batch['data_samples']
        label = torch.stack(
            [
                sample.gt_instance_labels.lifting_target_label
                for sample in labelled['data_samples']
            ]
        ).float()
        label[:, :, 1:, :2] += 0.1
        head.forward = lambda _, label=label: label
        for sample, pred in zip(samples, head.predict(None, samples), strict=True):
            sample.pred_instances = pred
        evaluator.process(samples, batch)
    metrics = evaluator.evaluate(len(loader.dataset))
    assert metrics['MPJPE'] > 50
    assert metrics['MPJPE-given-xy'] == pytest.approx(0, abs=0.5)
