"""A training run of a second: dropout, random augmentation, EMA, a schedule."""

import itertools
import json
import random
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

_names = itertools.count()


class NoisySamples(BaseDataset):
    """Sixteen numbers, each with noise from three sources of random numbers."""

    def load_data_list(self):
        """The samples."""
        return [{'value': float(i)} for i in range(16)]

    def prepare_data(self, idx):
        """One sample with its noise."""
        noise = np.random.rand() + random.random() + torch.rand(()).item()
        value = self.get_data_info(idx)['value']
        return {'inputs': torch.tensor([value / 16 + noise, 1.0])}


class DropoutNet(BaseModel):
    """A linear layer behind a dropout."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 1))

    def forward(self, inputs, mode='tensor'):
        """The loss, or the output."""
        output = self.layer(torch.stack(inputs))
        return {'loss': output.square().mean()} if mode == 'loss' else list(output)


class RandomScore(BaseMetric):
    """A metric that draws a random number, and gets better every time."""

    default_prefix = 'random'

    def __init__(self):
        super().__init__()
        self.calls = 0

    def process(self, data_batch, data_samples):
        """Remembers that there was a batch."""
        self.results.append(torch.rand(()).item())

    def compute_metrics(self, results):
        """The score."""
        self.calls += 1
        return {'score': float(self.calls), 'decline': -float(self.calls)}


def runner(
    work_dir: Path,
    *,
    by_epoch=True,
    length=4,
    num_workers=0,
    hooks=(),
    checkpoint=None,
    **arguments,
) -> Runner:
    """A runner with our hooks; ``length`` is in epochs of four iterations."""
    loader = {
        'dataset': NoisySamples(),
        'batch_size': 4,
        'num_workers': num_workers,
        'persistent_workers': num_workers > 0,
    }
    torch.manual_seed(0)
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    train_cfg = (
        {'by_epoch': True, 'max_epochs': length, 'val_interval': 1}
        if by_epoch
        else {'by_epoch': False, 'max_iters': 4 * length, 'val_interval': 4}
    )
    return Runner(
        model=DropoutNet(),
        work_dir=str(work_dir),
        train_dataloader=loader | {'sampler': {'type': sampler, 'shuffle': True}},
        val_dataloader=loader | {'sampler': {'type': 'DefaultSampler'}},
        val_evaluator=Evaluator([RandomScore()]),
        val_cfg={},
        train_cfg=train_cfg,
        optim_wrapper={'optimizer': {'type': 'Adam', 'lr': 0.01}},
        param_scheduler=[{'type': 'ExponentialLR', 'gamma': 0.9, 'by_epoch': by_epoch}],
        default_hooks={
            'logger': {'type': 'LoggerHook', 'interval': 1},
            'checkpoint': {
                'type': 'mmssm.ResumableCheckpointHook',
                'interval': 1 if by_epoch else 3,
                'by_epoch': by_epoch,
                **(checkpoint or {}),
            },
            'reseed': {'type': 'mmssm.ReseedHook'},
            'invalid_loss': {'type': 'mmssm.InvalidLossHook'},
        },
        custom_hooks=[{'type': 'EMAHook', 'momentum': 0.1}, *hooks],
        log_processor={'by_epoch': by_epoch, 'window_size': 1},
        randomness={'seed': 7},
        log_level='ERROR',
        experiment_name=f'run{next(_names)}',
        **arguments,
    )


def train(run: Runner) -> None:
    """Trains; the workers end with it, not when the runner is collected."""
    try:
        run.train()
    finally:
        for loop in (run.train_loop, run.val_loop):
            workers = loop.dataloader._iterator
            if workers is not None:
                workers._shutdown_workers()


def losses(work_dir: Path) -> dict[int, float]:
    """The loss of each iteration, as the log has it; the last run counts."""
    found = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json'), key=_modified):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if 'loss' in row:
                found[row['step']] = row['loss']
    return found


def _modified(path: Path) -> float:
    return path.stat().st_mtime_ns
