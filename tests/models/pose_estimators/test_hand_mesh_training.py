"""Training of hand meshes, without a prior and against one."""

import copy
import itertools

import numpy as np
import pytest
import torch
from helpers import hand_meshes
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import nn

import mmssm.registry  # noqa: F401

SIDE = 32
_names = itertools.count()


@MODELS.register_module('TestTinyBackbone', force=True)
class TinyBackbone(BaseModule):
    """One convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, 8)

    def forward(self, x):
        """One map of stride 8."""
        return (self.conv(x),)


class Crops(BaseDataset):
    """Noise, and hands to be seen in it."""

    def load_data_list(self):
        """Numbers of the samples."""
        return [{'number': number} for number in range(8)]

    def prepare_data(self, idx):
        """A packed crop."""
        return packed(idx)


def packed(number):
    generator = torch.Generator().manual_seed(number)
    crop = torch.randint(0, 255, (3, SIDE, SIDE), generator=generator)
    sample = PoseDataSample(metainfo=dict(input_size=(SIDE, SIDE)))
    labels = hand_meshes.labels(1, torch.float32, seed=number)
    sample.gt_instance_labels = InstanceData(**labels)
    return {'inputs': crop.to(torch.uint8), 'data_samples': sample}


def batch(count=4):
    samples = [packed(number) for number in range(count)]
    return {key: [sample[key] for sample in samples] for key in samples[0]}


def poses_file(folder):
    rng = np.random.default_rng(0)
    path = folder / 'poses.npz'
    np.savez(path, hand_pose=rng.normal(size=(20, 48)), betas=rng.normal(size=(20, 10)))
    return str(path)


def model_config(folder=None, **more):
    if folder is not None:
        poses = dict(type='mmssm.HandPoseDataset', ann_file=poses_file(folder))
        more['prior'] = dict(type='mmssm.HandPosePrior', poses=poses, loss_weight=0.5)
    return dict(
        type='mmssm.HandMeshEstimator',
        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=[128.0] * 3, std=[60.0] * 3
        ),
        backbone=dict(type='TestTinyBackbone'),
        head=dict(type='mmssm.MANOHead', in_channels=8, hidden_dims=(16,)),
        **more,
    )


def estimator(folder=None, **more):
    torch.manual_seed(0)
    return MODELS.build(model_config(folder, **more))


ADAM = dict(type='AdamW', lr=1e-3, weight_decay=1e-4)
BOTH = dict(
    constructor='mmssm.PriorOptimWrapperConstructor',
    network=dict(optimizer=ADAM, clip_grad=dict(max_norm=1.0)),
    prior=dict(optimizer=dict(ADAM, lr=2e-3), paramwise_cfg=dict(bias_decay_mult=0.0)),
)


def weights(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def changed(module, before):
    now = weights(module)
    return {name for name, value in before.items() if not torch.equal(now[name], value)}


def test_a_network_trains_alone():
    model = estimator()
    before = weights(model)
    log = model.train_step(batch(), build_optim_wrapper(model, dict(optimizer=ADAM)))
    assert changed(model, before) == set(before)
    assert 'loss_adversarial' not in log
    parts = [v for k, v in log.items() if k != 'loss' and 'loss' in k]
    torch.testing.assert_close(log['loss'], sum(parts))


def test_each_optimizer_has_its_own_part(tmp_path):
    model = estimator(tmp_path)
    wrappers = build_optim_wrapper(model, BOTH)
    for name, module in (
        ('network', (model.backbone, model.head)),
        ('prior', (model.prior,)),
    ):
        expected = {id(p) for part in module for p in part.parameters()}
        groups = wrappers[name].optimizer.param_groups
        assert {id(p) for group in groups for p in group['params']} == expected
    assert wrappers.get_lr()['network.lr'] == [1e-3]
    assert set(wrappers.get_lr()['prior.lr']) == {2e-3}


def test_the_network_learns_of_the_prior_and_then_the_prior_of_the_network(tmp_path):
    model = estimator(tmp_path)
    wrappers = build_optim_wrapper(model, BOTH)
    before = weights(model)
    data = model.data_preprocessor(copy.deepcopy(batch()), True)
    with torch.no_grad():
        hand = model.head(model.extract_feat(data['inputs']))[-1]
        expected = model.prior.adversarial_loss(hand.hand_pose, hand.betas)
        fake = model.prior(hand.hand_pose, hand.betas).square().sum() / 4
    log = model.train_step(batch(), wrappers)
    # both judge what the network made before its step
    torch.testing.assert_close(log['loss_adversarial'], expected)
    torch.testing.assert_close(log['prior_loss_fake'], fake)
    assert log['prior_loss_real'] > 0
    of_network = [v for k, v in log.items() if k.startswith('loss_')]
    torch.testing.assert_close(log['loss'], sum(of_network))
    assert changed(model, before) == set(before)
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_the_prior_moves_the_network_as_its_loss_says(tmp_path):
    gradients = []
    for with_prior in (True, False):
        model = estimator(tmp_path if with_prior else None)
        network = OptimWrapper(torch.optim.SGD(model.backbone.parameters(), lr=1.0))
        before = weights(model.backbone)
        if with_prior:
            start = copy.deepcopy(model)
            prior = OptimWrapper(torch.optim.SGD(model.prior.parameters(), lr=1.0))
            model.train_step(batch(), OptimWrapperDict(network=network, prior=prior))
        else:
            model.train_step(batch(), network)
        after = weights(model.backbone)
        gradients.append({k: before[k] - after[k] for k in before})
    data = start.data_preprocessor(batch(), True)
    hand = start.head(start.extract_feat(data['inputs']))[-1]
    start.prior.adversarial_loss(hand.hand_pose, hand.betas).backward()
    for name, weight in start.backbone.named_parameters():
        difference = gradients[0][name] - gradients[1][name]
        torch.testing.assert_close(difference, weight.grad, rtol=1e-3, atol=1e-5)


def test_a_prior_and_its_optimizer_go_together(tmp_path):
    model, plain = estimator(tmp_path), estimator()
    one = build_optim_wrapper(model, dict(optimizer=ADAM))
    with pytest.raises(ValueError, match='there is one OptimWrapper; set optim_wra'):
        model.train_step(batch(), one)
    two = build_optim_wrapper(model, BOTH)
    with pytest.raises(ValueError, match='HandMeshEstimator has no prior'):
        plain.train_step(batch(), two)
    with pytest.raises(ValueError, match='HandMeshEstimator has no prior to optimize'):
        build_optim_wrapper(plain, BOTH)
    with pytest.raises(ValueError, match=r"OptimWrapperDict of \['generator'\]"):
        model.train_step(batch(), OptimWrapperDict(generator=one))
    for wrong in (
        dict(BOTH, type='AmpOptimWrapper'),
        {k: v for k, v in BOTH.items() if k != 'prior'},
        dict(BOTH, paramwise_cfg=dict(norm_decay_mult=0.0)),
    ):
        with pytest.raises(ValueError, match=r"takes \['network', 'prior'\]"):
            build_optim_wrapper(model, wrong)


def runner(folder, work_dir, max_epochs, **more):
    loader = dict(
        dataset=Crops(),
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
    )
    return Runner(
        model=model_config(folder),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        optim_wrapper=copy.deepcopy(BOTH),
        param_scheduler=[dict(type='ExponentialLR', gamma=0.5, end=10)],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='mmssm.ResumableCheckpointHook', interval=1),
            reseed=dict(type='mmssm.ReseedHook'),
            invalid_loss=dict(type='mmssm.InvalidLossHook'),
        ),
        randomness=dict(seed=3),
        default_scope='mmpose',
        log_level='ERROR',
        experiment_name=f'prior{next(_names)}',
        **more,
    )


def test_a_resumed_training_goes_on_with_both_optimizers(tmp_path):
    whole = runner(tmp_path, tmp_path / 'whole', 2)
    whole.train()
    runner(tmp_path, tmp_path / 'half', 1).train()
    resumed = runner(tmp_path, tmp_path / 'half', 2, resume=True)
    resumed.train()
    expected = whole.model.state_dict()
    assert any(name.startswith('prior.') for name in expected)
    for name, value in resumed.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)
    for part in ('network', 'prior'):
        ours = resumed.optim_wrapper[part].optimizer.state_dict()
        theirs = whole.optim_wrapper[part].optimizer.state_dict()
        assert ours['param_groups'] == theirs['param_groups']
        steps = [state['step'] for state in ours['state'].values()]
        assert steps and all(step == 4 for step in steps)
    assert resumed.optim_wrapper.get_lr()['network.lr'] == [1e-3 / 4]
