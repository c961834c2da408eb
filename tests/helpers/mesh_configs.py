"""The configs of hand meshes, and copies of them that train in seconds."""

import json
from pathlib import Path

import numpy as np
from mmengine.config import Config

from helpers import freihand, hint, ho3d
from helpers.modules import ROOT

FOLDER = ROOT / 'configs/hand_mesh/hamba'

CONFIGS = sorted(FOLDER.glob('*/*.py'))
"""Those with a recipe of their own: without ablations."""

SIDE = 64
"""Width and height of a small crop."""

FREE_HAND_VERTICES = 1159

FOLDERS = {
    'mmssm.FreiHAND3DDataset': 'freihand',
    'mmssm.HO3DDataset': 'ho3d',
    'mmssm.HIntDataset': 'hint',
}

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

BACKBONE = dict(
    type='ResNet',
    depth=18,
    stem_channels=8,
    base_channels=4,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
)
"""16 channels in cells of 16 pixels, in the place of every other backbone."""


def write_sets(folder: Path) -> None:
    """Writes a small set for each class that the shrunk configs read."""
    for split, seed in (('training', 0), ('evaluation', 1)):
        contents = freihand.data(seed=seed, vertices=FREE_HAND_VERTICES)
        freihand.write(folder / 'freihand', contents, split=split, versions=1)
    ho3d.write(folder / 'ho3d', split='train')
    frames = ho3d.data(split='evaluation')
    names = [name for number, name in enumerate(frames) if number != 1]
    frames = {name: frames[name] for name in names}
    ho3d.write(folder / 'ho3d', frames, split='evaluation')
    rng = np.random.default_rng(2)
    joints = [frames[name]['handJoints3D'] + np.zeros((21, 3)) for name in names]
    for column, count in (('xyz', 21), ('verts', FREE_HAND_VERTICES)):
        offsets = 0.05 * rng.normal(size=(len(names), count, 3))
        offsets[:, 0] = 0
        places = [one[:1] + offset for one, offset in zip(joints, offsets, strict=True)]
        path = folder / 'ho3d' / f'evaluation_{column}.json'
        path.write_text(json.dumps(np.array(places).tolist()))
    hint.write(folder / 'hint')
    np.savez(
        folder / 'poses.npz',
        hand_pose=rng.normal(0, 0.3, (9, 48)).astype(np.float32),
        betas=rng.normal(size=(9, 10)).astype(np.float32),
    )


def shrink(config: Config, work_dir: Path, data: Path) -> Config:
    """Makes a config train a few crops with a tiny model of the free hand.

    What is tested stays as it is: classes, pipelines, hooks, losses, optimizer,
    schedule, metrics. The mixture becomes FreiHAND alone; it has tests of its own.

    Args:
        config: Changed in place.
        work_dir: Where the run writes.
        data: Where :func:`write_sets` wrote.

    Returns:
        The config.
    """
    shrink_model(config)
    if 'prior' in config.model:
        config.model.prior.poses.ann_file = str(data / 'poses.npz')
    for name in LOADERS:
        loader = config[name]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        if loader.dataset.type == 'mmssm.WeightedCombinedDataset':
            parts = loader.dataset.pop('datasets')
            pipeline = [*parts[0].pipeline, *loader.dataset.pipeline]
            loader.dataset = {**parts[0], 'pipeline': pipeline}
        _shrink_dataset(loader.dataset, data)
    config.train_cfg.update(max_iters=2, val_interval=2)
    for scheduler in config.get('param_scheduler') or []:
        if scheduler.type == 'LinearLR':
            scheduler.update(begin=0, end=1)
    config.default_hooks.checkpoint.interval = 2
    config.work_dir = str(work_dir)
    config.experiment_name = f'{work_dir.name}_shrunk'
    config.log_level = 'ERROR'
    return config


def _shrink_dataset(dataset: dict, data: Path) -> None:
    kind = dataset['type'].removeprefix('mmssm.').removesuffix('Dataset').lower()
    dataset['data_root'] = str(
        data / kind.removesuffix('3d') if 'frei' in kind else data / kind
    )
    if dataset.get('hand_model'):
        dataset['hand_model'] = 'free_hand'
    dataset.pop('index_file', None)
    dataset['pipeline'] = [_small_step(step) for step in dataset['pipeline']]


def _small_step(step: dict) -> dict:
    if 'input_size' in step:
        return {**step, 'input_size': (SIDE, SIDE)}
    if 'encoder' in step:
        return {**step, 'encoder': {**step['encoder'], 'input_size': (SIDE, SIDE)}}
    return step


def shrink_model(config: Config) -> Config:
    """Makes the model of a config small; changes the config in place."""
    model = config.model
    model.backbone = dict(BACKBONE)
    model.head.update(in_channels=16)
    if model.head.get('mano'):
        model.head.mano.pop('model', None)
    if model.head.type == 'mmssm.MANOHead':
        model.head.hidden_dims = (16,)
        return config
    columns = (8, 56) if model.get('crop_columns') else None
    model.crop_columns = columns
    model.head.update(
        embed_dims=16,
        regressor_depths=(1,),
        num_gss=1,
        gss_depth=1,
        crop_size=SIDE,
        crop_columns=columns,
        feat_size=(4, 3) if columns else (4, 4),
    )
    return config
