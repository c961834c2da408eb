"""Every config, and copies of them that train in seconds."""

import copy
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from mmengine.config import Config

from helpers.modules import ROOT

CONFIGS = sorted(
    path
    for path in (ROOT / 'configs/body_3d_keypoint').rglob('*.py')
    if '_base_' not in path.relative_to(ROOT).parts
)

WIDTH = 16

FRAMES = 9

SMALL_BACKBONES = {
    'mmssm.PoseMamba': {'embed_dims': WIDTH, 'depth': 1, 'num_frames': FRAMES},
    'mmssm.SasMamba': {'embed_dims': WIDTH, 'depth': 1, 'num_frames': FRAMES},
    'DSTFormer': {'feat_size': WIDTH, 'depth': 1, 'seq_len': FRAMES},
    'TCN': {'stem_channels': WIDTH},
}
"""What to change in a backbone; all but TCN see clips of ``FRAMES`` frames."""


@functools.cache
def _parsed(path: Path) -> Config:
    return Config.fromfile(path)


def read(path: Path) -> Config:
    """A config, parsed once; each caller has a copy of its own to change."""
    return copy.deepcopy(_parsed(path))


@functools.cache
def metafile_models() -> dict[str, dict]:
    """What the metafiles say about each config, by its name."""
    models = {}
    for path in (ROOT / 'configs').rglob('*.yml'):
        for model in yaml.safe_load(path.read_text())['Models']:
            models[model['Name']] = model
    return models


def distinct(paths: list[Path], part: Callable[[dict], object]) -> list[Path]:
    """The first of all configs whose small copies are the same in some part.

    Sizes, numbers of epochs and folds are what small copies do not keep.
    """
    found: dict[str, Path] = {}
    for path in paths:
        config = shrink(read(path), Path('work_dir'), {})
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            config[loader].dataset.pop('fold', None)
        config.pop('auto_scale_lr', None)
        text = json.dumps(part(config.to_dict()), sort_keys=True, default=str)
        found.setdefault(text, path)
    return list(found.values())


def shrink(config: Config, work_dir: Path, roots: Mapping[str, Path]) -> Config:
    """Makes a config train a few clips with a tiny model.

    What is tested stays as it is: classes, pipelines, hooks, losses, optimizer,
    schedule.

    Args:
        config: A lifting config; changed in place.
        work_dir: Where the run writes.
        roots: ``data_root`` by type of dataset, where the small files are.

    Returns:
        The config.
    """
    _shrink_model(config.model)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        _shrink_dataloader(config[loader], config.model.backbone, roots)
    _shrink_schedule(config.train_cfg)
    for scheduler in config.param_scheduler:
        if scheduler.get('by_epoch', True):
            # One epoch has no room for a warm-up and what follows it.
            scheduler.update(begin=0, end=1)
    config.work_dir = str(work_dir)
    config.experiment_name = f'{work_dir.name}_shrunk'
    config.randomness = dict(seed=0)
    return config


def _shrink_model(model: dict) -> None:
    backbone = model['backbone']
    if backbone['type'] not in SMALL_BACKBONES:
        raise KeyError(
            f'SMALL_BACKBONES does not say what a small {backbone["type"]} is'
        )
    backbone.pop('arch', None)
    backbone.update(SMALL_BACKBONES[backbone['type']])
    model['head']['in_channels'] = WIDTH
    if 'embedding_size' in model['head']:
        model['head']['embedding_size'] = WIDTH


def _shrink_dataloader(loader: dict, backbone: dict, roots: Mapping[str, Path]) -> None:
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.update(pin_memory=False, drop_last=False)
    dataset = loader['dataset']
    dataset['indices'] = 4
    if 'data_root' in dataset:
        dataset['data_root'] = str(roots.get(dataset['type'], ''))
    if backbone['type'] == 'TCN':
        return
    if 'multiple_target' in dataset:
        dataset['multiple_target'] = FRAMES
        dataset.pop('multiple_target_step', None)
        return
    dataset['seq_len'] = FRAMES
    if 'stride' in dataset:
        dataset['stride'] = FRAMES


def _shrink_schedule(train_cfg: dict) -> None:
    if train_cfg.get('by_epoch', False) or 'max_epochs' in train_cfg:
        train_cfg.update(max_epochs=1, val_interval=1)
    else:
        train_cfg.update(max_iters=2, val_interval=2)
