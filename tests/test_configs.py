"""Every config is parsed, built and counted, and a small copy of it trains."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.configs import CONFIGS, metafile_models, shrink
from helpers.modules import ROOT, load_script
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401


@pytest.fixture(scope='module')
def h36m_root(tmp_path_factory):
    """A small set in the files of Human3.6M."""
    root = tmp_path_factory.mktemp('h36m')
    load_script('tools/dataset_converters/mocap.py').export_fold(root, 0)
    return root


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_parsed_built_and_counted(path):
    config = Config.fromfile(path)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    count = sum(parameter.numel() for parameter in model.parameters())
    # The folds of one model are listed once.
    name = re.sub(r'fold\d$', 'fold0', path.stem)
    described = metafile_models().get(name)
    if described is None:
        assert not config.model.backbone.type.startswith('mmssm.'), 'not in a metafile'
        assert count > 0
    else:
        assert described['Metadata']['Parameters'] == count


def test_metafiles_name_configs_that_exist():
    for name, model in metafile_models().items():
        assert (ROOT / model['Config']).is_file()
        assert Path(model['Config']).stem == name


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_shrunk_copy_trains_and_validates(path, tmp_path, h36m_root):
    config = shrink(Config.fromfile(path), tmp_path / path.stem, h36m_root)
    runner = Runner.from_cfg(config)
    before = [p.detach().clone() for p in runner.model.parameters()]
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2 and np.isfinite(losses).all()
    changed = [
        not torch.equal(old, new.detach())
        for old, new in zip(before, runner.model.parameters(), strict=True)
    ]
    assert all(changed)
    for error in ('MPJPE', 'P-MPJPE', 'MPJPE_action_mean'):
        assert 0 < runner.message_hub.get_scalar(f'val/{error}').current() < 1e4


OF_CLIPS = [
    path
    for path in CONFIGS
    if Config.fromfile(path).model.head.type == 'mmssm.LiftingHead'
]


@pytest.mark.parametrize('path', OF_CLIPS, ids=lambda path: path.stem)
def test_perfect_predictions_have_no_error(path, tmp_path, h36m_root):
    """Codec, head and metric undo what the training codec does."""
    config = shrink(Config.fromfile(path), tmp_path / path.stem, h36m_root)
    train_codec = next(
        step['encoder']
        for step in config.train_dataloader.dataset.pipeline
        if step['type'] == 'GenerateTarget'
    )
    labelled_dataloader = copy.deepcopy(config.val_dataloader)
    for step in labelled_dataloader.dataset.pipeline:
        if step['type'] == 'GenerateTarget':
            step['encoder'] = train_codec
    loader = Runner.build_dataloader(config.val_dataloader, seed=0)
    with_labels = Runner.build_dataloader(labelled_dataloader, seed=0)
    head = MODELS.build(config.model.head)
    evaluator = Runner.build_evaluator(None, config.val_evaluator)
    for batch, labelled in zip(loader, with_labels, strict=True):
        samples = batch['data_samples']
        labels = [sample.gt_instance_labels for sample in labelled['data_samples']]
        perfect = torch.stack([label.lifting_target_label for label in labels])
        head.forward = lambda _, perfect=perfect: perfect.float()
        for sample, pred in zip(samples, head.predict(None, samples), strict=True):
            sample.pred_instances = pred
        evaluator.process(samples, batch)
    metrics = evaluator.evaluate(len(loader.dataset))
    assert metrics['MPJPE'] == pytest.approx(0, abs=0.05)
    assert metrics['P-MPJPE'] == pytest.approx(0, abs=0.05)
