"""The configs of hands in space, and copies of them that train in seconds."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from mmengine.config import Config

from helpers import assemblyhands, dexycb, freihand, interhand, nyu, rhd
from helpers.drop_ins import is_drop_in
from helpers.modules import ROOT
from mmssm.datasets import dexycb_files

FOLDER = ROOT / 'configs/hand_3d_keypoint/df_mamba'

CONFIGS = sorted(path for path in FOLDER.glob('*/*.py') if not is_drop_in(path))
"""Those with a recipe of their own: without drop-ins and ablations."""

ABLATIONS = sorted(FOLDER.glob('*/ablations/*.py'))
"""Rows of the paper's tables: one of the configs with another backbone each."""

SIDE = 64
"""Width and height of a small crop."""

WIDTH = 16

SMALL_BACKBONES = {
    'mmssm.DFMamba': {'dims': (8, 8, WIDTH, WIDTH), 'depths': (1,) * 6, 'd_state': 2},
    'ResNet': {'depth': 18, 'stem_channels': 8, 'base_channels': 2},
    'mmssm.VMamba': {'embed_dims': 2, 'depths': (1,) * 4, 'drop_path_rate': 0.0},
}

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def _splits(helper: ModuleType, *splits: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for split in splits:
            helper.write(folder, split=split)

    return write


def _write_dexycb(folder: Path) -> None:
    dexycb.write(folder, subjects=range(10), frames=1, cameras=(0, 2))
    dexycb_files.write_index(str(folder), str(folder / 'index.npz'), partial=True)


WRITERS = {
    'mmssm.AssemblyHandsDataset': _splits(assemblyhands, 'train', 'val'),
    'mmssm.DexYCBDataset': _write_dexycb,
    'mmssm.FreiHAND3DDataset': _splits(freihand, 'training', 'evaluation'),
    'mmssm.InterHand3DDataset': _splits(interhand, 'train', 'val', 'test'),
    'mmssm.NYUHandDataset': _splits(nyu, 'train', 'test'),
    'mmssm.RHD3DDataset': _splits(rhd, 'training', 'evaluation'),
}
"""What writes a small set in the layout that a class reads."""


def shrink(config: Config, work_dir: Path, data_root: Path) -> Config:
    """Makes a config train a few crops with a tiny model.

    What is tested stays as it is: classes, pipelines, hooks, losses, optimizer,
    schedule, metrics.

    Args:
        config: Changed in place.
        work_dir: Where the run writes.
        data_root: Where the small set is.

    Returns:
        The config.
    """
    shrink_model(config)
    for name in LOADERS:
        loader = config[name]
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.update(indices=4, data_root=str(data_root))
        if loader.dataset.type == 'mmssm.DexYCBDataset':
            loader.dataset.partial = True
        loader.dataset.pipeline = _small_crops(loader.dataset.pipeline)
    if 'max_iters' in config.train_cfg:
        config.train_cfg.update(max_iters=2, val_interval=2)
    else:
        config.train_cfg.update(max_epochs=1, val_interval=1)
    for scheduler in config.param_scheduler:
        if scheduler.type == 'LinearLR':
            scheduler.update(begin=0, end=1)
    config.work_dir = str(work_dir)
    config.experiment_name = f'{work_dir.name}_shrunk'
    config.log_level = 'ERROR'
    return config


def shrink_model(config: Config) -> Config:
    """Makes the model of a config small; changes the config in place."""
    backbone, head = config.model.backbone, config.model.head
    backbone.update(SMALL_BACKBONES[backbone.type])
    small = dict(deconv_out_channels=(8, 8, 8))
    if head.type == 'InternetHead':
        head.keypoint_head_cfg.update(
            in_channels=WIDTH, out_channels=21 * 16, depth_size=16, **small
        )
        for part in ('root_head_cfg', 'hand_type_head_cfg'):
            head[part].update(in_channels=WIDTH, hidden_dims=(8,))
    else:
        head.update(in_channels=WIDTH, **small)
    head.decoder = _small_codec(head.decoder)
    return config


def _small_codec(codec: dict) -> dict:
    if codec['type'] == 'Hand3DHeatmap':
        small = dict(image_size=[SIDE] * 2, heatmap_size=[16] * 3, depth_size=16)
        return {**codec, **small}
    return {**codec, 'input_size': (SIDE, SIDE)}


def _small_crops(pipeline: list[dict]) -> list[dict]:
    steps = []
    for step in pipeline:
        if 'input_size' in step:
            step = {**step, 'input_size': (SIDE, SIDE)}
        if 'encoder' in step:
            step = {**step, 'encoder': _small_codec(step['encoder'])}
        steps.append(step)
    return steps
