"""Every config of hand meshes is built and counted, and a small copy trains."""

import functools
import re

import numpy as np
import pytest
import torch
from helpers.configs import metafile_models
from helpers.mesh_configs import CONFIGS, shrink, shrink_model, write_sets
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis.checkpoint import (
    build_from_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)

VIT_HUGE = 630_910_720


def name_of(path):
    return path.stem


def config_of(name):
    return Config.fromfile(next(path for path in CONFIGS if path.stem == name))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sets')
    write_sets(folder)
    return folder


@functools.cache
def described_models():
    return metafile_models()


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_built_and_counted(path):
    """MMPretrain, whose ViT-H has 630,910,720 parameters, may not be here."""
    model = Config.fromfile(path).model
    if model.head.get('mano'):
        model.head.mano.pop('model', None)
    count = 0
    if model.backbone.type == 'mmpretrain.VisionTransformer':
        count, model.backbone = VIT_HUGE, None
    parts = [model[part] for part in ('backbone', 'head', 'prior') if model.get(part)]
    with torch.device('meta'):
        for part in parts:
            count += sum(p.numel() for p in MODELS.build(part).parameters())
    assert described_models()[path.stem]['Metadata']['Parameters'] == count


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_what_a_name_says_is_so(path):
    config = Config.fromfile(path)
    _, _, training, data = path.stem.split('_')
    match = re.fullmatch(r'[12]xb(\d+)(?:-(\d+)k)?', training)
    assert config.train_dataloader.batch_size == int(match[1])
    assert match[2] is None or config.train_cfg.max_iters == 1000 * int(match[2])
    for phase in ('train', 'val', 'test'):
        steps = {s.type: s for s in config[f'{phase}_dataloader'].dataset.pipeline}
        size = steps['mmssm.HandMeshCropAffine'].input_size
        assert data.endswith('-{}x{}'.format(*size))
        assert tuple(steps['GenerateTarget'].encoder.input_size) == tuple(size)
        augmented = 'mmssm.HandMeshCropJitter' in steps
        assert augmented == (phase == 'train')


def test_the_recipe_is_the_paper_s():
    config = config_of('hamba_vit-h-prior_1xb56-170k_mixture-256x256')
    for part in ('network', 'prior'):
        optimizer = config.optim_wrapper[part].optimizer
        assert optimizer.type == 'AdamW' and optimizer.betas == (0.9, 0.999)
        assert (optimizer.lr, optimizer.weight_decay) == (1e-5, 1e-4)
    plain = config_of('hamba_vit-h_2xb28-170k_mixture-256x256')
    assert plain.optim_wrapper.optimizer == config.optim_wrapper.network.optimizer
    loss = MODELS.build(config.model.head.loss)
    assert loss.reduction == 'sum'
    assert loss.weights == {
        'keypoints_2d': 0.01,
        'keypoints_3d': 0.05,
        'global_orient': 0.001,
        'hand_pose': 0.001,
        'betas': 0.0005,
    }
    assert MODELS.build(config.model.prior).loss_weight == 0.0005
    assert config.model.backbone.drop_path_rate == 0.55
    views = config_of('hamba_vit-h-tta_2xb28-170k_mixture-256x256').model.test_cfg
    assert len(views.tta_scales) * len(views.tta_rotations) == 95


DISTINCT = [
    'hamba_df-mamba-a_2xb28-60k_freihand-256x256',
    'mano-head_res50_2xb28-60k_freihand-256x256',
    'hamba_vit-h_2xb28-170k_mixture-hint-newdays-256x256',
    'hamba_vit-h_2xb28-60k_ho3d-v3-256x256',
    'hamba_vit-h-prior_1xb56-170k_mixture-256x256',
    'hamba-small_res18_1xb16_synthhand-128x128',
]
"""One for each data set, optimizer, head and geometry of the backbone's view."""


@pytest.mark.parametrize('name', DISTINCT)
def test_a_shrunk_copy_trains_and_tests(name, tmp_path, data):
    config = shrink(config_of(name), tmp_path / name, data)
    runner = Runner.from_cfg(config)
    before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2 and np.isfinite(losses).all()
    moved = [
        not torch.equal(before[n], p.detach())
        for n, p in runner.model.named_parameters()
        if p.requires_grad
    ]
    assert np.mean(moved) > 0.9
    tested = runner.test()
    assert tested and not np.isnan([*tested.values()]).any()
    first = 'PCK@0.05_all' if 'hint' in name else 'PA-MPJPE'
    assert first in tested


@pytest.mark.parametrize(
    'name',
    [
        'hamba_df-mamba-a_2xb28-60k_freihand-256x256',
        'hamba_vit-h_2xb28-60k_ho3d-v3-256x256',
        'hamba_vit-h_2xb28-170k_mixture-hint-newdays-256x256',
    ],
)
def test_perfect_predictions_have_no_error(name, tmp_path, data):
    """Crops, mirrored hands and units: all is undone."""
    config = shrink(config_of(name), tmp_path / name, data)
    model = MODELS.build(config.model)
    evaluator = Runner.build_evaluator(None, config.test_evaluator)
    loader = Runner.build_dataloader(config.test_dataloader, seed=0)
    evaluator.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        samples = batch['data_samples']
        hands = [_as_predicted(sample) for sample in samples]
        evaluator.process(model.add_pred_to_datasample(hands, None, samples), batch)
    metrics = evaluator.evaluate(len(loader.dataset))
    for key, value in metrics.items():
        if key.startswith('PCK'):
            assert value == 100
        elif 'AUC' in key or key.startswith('F@'):
            assert value == pytest.approx(1, abs=0.006)
        else:
            assert value < 0.02, key


def _as_predicted(sample):
    """What a network that sees perfectly says of a crop."""
    label, truth = sample.gt_instance_labels, sample.gt_instances
    mirror = [-1 if sample.get('crop_mirrored') else 1, 1, 1]
    joints = np.asarray(truth.get('keypoints_cam', np.zeros((1, 21, 3)))) * mirror
    vertices = np.asarray(truth.get('vertices', np.zeros((1, 5, 3)))) * mirror
    return InstanceData(
        keypoints=(label.keypoints_2d.numpy() + 0.5) * sample.input_size[0],
        keypoint_scores=np.ones((1, 21), np.float32),
        keypoints_3d=joints,
        mesh_vertices=vertices,
        mano_global_orient=label.global_orient.numpy(),
        mano_hand_pose=label.hand_pose.numpy(),
        mano_betas=label.betas.numpy(),
        pred_cam=np.array([[4.0, 0, 0]], np.float32),
        cam_t=np.array([[0, 0, 9.8]], np.float32),
    )


@pytest.mark.parametrize(
    'path', [path for path in CONFIGS if path.parent.name == 'synthhand'], ids=name_of
)
def test_a_checkpoint_stands_alone(path, tmp_path):
    config = shrink_model(Config.fromfile(path))
    described = model_config_for_checkpoint(config.model)
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(described)
    file = tmp_path / 'hand.safetensors'
    save_checkpoint(file, model.state_dict(), {'model': described})
    with DefaultScope.overwrite_default_scope('mmengine'):  # as in a script
        again = build_from_checkpoint(file).state_dict()
    assert all(
        torch.equal(value, again[key]) for key, value in model.state_dict().items()
    )
