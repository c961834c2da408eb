"""The command-line tools as modules, and a lifting config of a second."""

import importlib.util
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def load_tool(name: str) -> ModuleType:
    """Imports ``tools/<name>.py``."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CONFIG = """
_base_ = 'mmssm::_base_/default_runtime.py'
codec = dict(type='MotionBERTLabel', num_keypoints=17, mode='train')
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='mmssm.PoseMamba', embed_dims=16, depth=1, num_frames=9, in_channels=2
    ),
    head=dict(
        type='mmssm.LiftingHead',
        in_channels=16,
        decoder=dict(type='MotionBERTLabel', num_keypoints=17, rootrel=True),
    ),
    test_cfg=dict(flip_test=False),
)
dataset = dict(
    type='Human36mDataset',
    ann_file='train.npz',
    seq_len=1,
    multiple_target=9,
    multiple_target_step=3,
    camera_param_file='cameras.pkl',
    data_root={data_root!r},
    pipeline=[
        dict(type='GenerateTarget', encoder=codec),
        dict(
            type='PackPoseInputs',
            meta_keys=('id', 'category_id', 'target_img_path', 'flip_indices',
                       'factor', 'camera_param'),
        ),
    ],
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dataset,
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(dataset, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='MPJPE', mode='mpjpe')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=2)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3))
default_hooks = dict(logger=dict(interval=1))
log_processor = dict(window_size=1)
log_level = 'ERROR'
"""
