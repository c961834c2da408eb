"""Every config of hands in space is built and counted, and a small copy trains."""

import copy
import functools
import re

import numpy as np
import pytest
import torch
from helpers.configs import metafile_models, read
from helpers.hand_configs import CONFIGS, FOLDER, WRITERS, shrink, shrink_model
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401
from mmssm.apis.checkpoint import (
    build_from_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)


def name_of(path):
    return path.stem


@pytest.fixture(scope='module')
def data_of(tmp_path_factory):
    """Where the small set of a config's dataset is; each is written once."""

    @functools.cache
    def of(dataset):
        folder = tmp_path_factory.mktemp('data')
        WRITERS[dataset](folder)
        return folder

    return lambda config: of(config.train_dataloader.dataset.type)


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_parsed_built_and_counted(path):
    config = read(path)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    described = metafile_models()[path.stem]['Metadata']
    assert described['Parameters'] == sum(p.numel() for p in model.parameters())


def test_no_config_claims_another_framework():
    for path in FOLDER.rglob('*.py'):
        assert 'a2j' not in path.name.lower()
        assert 'a2j' not in str(metafile_models().get(path.stem)).lower()


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_what_a_name_says_is_so(path):
    config = read(path)
    *_, training, data = path.stem.split('_')
    decoder = config.model.head.decoder
    size = decoder.get('input_size') or decoder.get('image_size')
    assert data.endswith('-{}x{}'.format(*size))
    assert training.startswith(f'1xb{config.train_dataloader.batch_size}')
    if 'max_epochs' in config.train_cfg:
        assert training.endswith(f'-{config.train_cfg.max_epochs}e')


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_training_and_evaluation_share_codec_and_crop(path):
    config = read(path)
    pipelines = [
        {step.type: step for step in config[f'{phase}_dataloader'].dataset.pipeline}
        for phase in ('train', 'val', 'test')
    ]
    train = pipelines[0]
    assert train['GenerateTarget'].encoder == config.model.head.decoder
    for pipeline in pipelines[1:]:
        assert 'RandomBBoxTransform' not in pipeline
        kept = train.keys() - {
            'RandomBBoxTransform',
            'GenerateTarget',
            'HandRandomFlip',
        }
        assert pipeline.keys() == kept
        assert all(pipeline[step] == train[step] for step in kept)


DISTINCT = {
    (
        config.train_dataloader.dataset.type,
        config.model.backbone.type,
        config.model.head.type,
    ): path
    for path in CONFIGS
    if not re.search('dexycb-s[023]', path.stem)
    for config in [read(path)]
}
"""One config of each data set, backbone and head; the small DexYCB has s1 alone."""


@pytest.mark.parametrize('path', DISTINCT.values(), ids=name_of)
def test_a_shrunk_copy_trains_and_tests_as_it_validates(path, tmp_path, data_of):
    config = read(path)
    config = shrink(config, tmp_path / path.stem, data_of(config))
    config.test_dataloader = config.val_dataloader
    runner = Runner.from_cfg(config)
    before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2 and np.isfinite(losses).all()
    same = [
        name
        for name, new in runner.model.named_parameters()
        if torch.equal(before[name], new.detach())
    ]
    # in so small a network, steps of these lie below the resolution of fp32
    assert all(name.endswith('.dt_bias') for name in same), same
    tested = runner.test()
    assert tested
    for name, value in tested.items():
        assert value == runner.message_hub.get_scalar(f'val/{name}').current(), name
    best = config.default_hooks.checkpoint.get('save_best', 'MPJPE')
    assert 0 < tested[best] < 1e6


@pytest.mark.parametrize(
    'path',
    [path for (_, _, head), path in DISTINCT.items() if head != 'InternetHead'],
    ids=name_of,
)
def test_perfect_predictions_have_no_error(path, tmp_path, data_of):
    """Units, mirrored hands, crops and cameras: all is undone."""
    config = read(path)
    config = shrink(config, tmp_path / path.stem, data_of(config))
    loader = copy.deepcopy(config.val_dataloader)
    decoder = config.model.head.decoder
    loader.dataset.pipeline.insert(-1, dict(type='GenerateTarget', encoder=decoder))
    model = MODELS.build(config.model)
    evaluator = Runner.build_evaluator(None, config.val_evaluator)
    loader = Runner.build_dataloader(loader, seed=0)
    evaluator.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        samples = batch['data_samples']
        labels = [sample.gt_instance_labels for sample in samples]
        preds = [
            InstanceData(
                keypoints=label.keypoint_labels.numpy() * decoder.input_size,
                keypoint_depths=label.depth_labels.numpy(),
                keypoint_scores=label.keypoint_weights.numpy(),
            )
            for label in labels
        ]
        for sample, label in zip(samples, labels, strict=True):
            # what no network can be asked for: joints outside the crop
            sample.gt_instances.keypoints_visible = label.depth_weights.numpy()
        evaluator.process(model.add_pred_to_datasample(preds, None, samples), batch)
    metrics = evaluator.evaluate(len(loader.dataset))
    for name, value in metrics.items():
        # the last digits of float32 are more than the threshold 0
        low, high = (99.4, 100) if 'AUC' in name else (0, 0.02)
        assert low <= value <= high, name


@pytest.mark.parametrize(
    'path', [path for path in CONFIGS if path.parent.name == 'synthhand'], ids=name_of
)
def test_a_checkpoint_stands_alone(path, tmp_path):
    config = shrink_model(read(path))
    described = model_config_for_checkpoint(config.model)
    model = MODELS.build(described)
    file = tmp_path / 'hand.safetensors'
    save_checkpoint(file, model.state_dict(), {'model': described})
    again = build_from_checkpoint(file).state_dict()
    assert all(
        torch.equal(value, again[key]) for key, value in model.state_dict().items()
    )
