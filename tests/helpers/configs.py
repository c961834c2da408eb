"""Every config, and copies of them that train in seconds."""

from pathlib import Path

import yaml
from mmengine.config import Config

from helpers.modules import ROOT

CONFIGS = sorted(
    path
    for path in (ROOT / 'configs').rglob('*.py')
    if '_base_' not in path.relative_to(ROOT).parts
)

WIDTH = 16

SMALL_BACKBONES = {
    'mmssm.PoseMamba': {'embed_dims': WIDTH, 'depth': 1, 'num_frames': 9},
    'TCN': {'stem_channels': WIDTH},
}
"""What to change in a backbone; one with ``num_frames`` gets clips of that length."""


def metafile_models() -> dict[str, dict]:
    """What the metafiles say about each config, by its name."""
    models = {}
    for path in (ROOT / 'configs').rglob('*.yml'):
        for model in yaml.safe_load(path.read_text())['Models']:
            models[model['Name']] = model
    return models


def shrink(config: Config, work_dir: Path, h36m_root: Path) -> Config:
    """Makes a config train a few clips with a tiny model.

    What is tested stays as it is: classes, pipelines, hooks, losses, optimizer,
    schedule.

    Args:
        config: A lifting config; changed in place.
        work_dir: Where the run writes.
        h36m_root: A ``data_root`` in Human3.6M's format.

    Returns:
        The config.
    """
    _shrink_model(config.model)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        _shrink_dataloader(config[loader], config.model.backbone, h36m_root)
    _shrink_schedule(config.train_cfg)
    config.work_dir = str(work_dir)
    config.experiment_name = f'{work_dir.name}_shrunk'
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


def _shrink_dataloader(loader: dict, backbone: dict, h36m_root: Path) -> None:
    loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader.update(pin_memory=False, drop_last=False)
    dataset = loader['dataset']
    dataset['indices'] = 4
    frames = backbone.get('num_frames')
    if 'multiple_target' in dataset:
        dataset.update(multiple_target=frames, data_root=str(h36m_root))
        dataset.pop('multiple_target_step', None)
    elif frames is not None:
        dataset['seq_len'] = frames


def _shrink_schedule(train_cfg: dict) -> None:
    if train_cfg.get('by_epoch', False) or 'max_epochs' in train_cfg:
        train_cfg.update(max_epochs=1, val_interval=1)
    else:
        train_cfg.update(max_iters=2, val_interval=2)
