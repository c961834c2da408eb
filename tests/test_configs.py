"""Every config is parsed, built and counted, and a small copy of it trains."""

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import lifting, motionbert, mpi_inf_3dhp
from helpers.configs import CONFIGS, distinct, metafile_models, read, shrink
from helpers.modules import ROOT, load_script
from mmengine.runner import Runner
from mmpose.registry import MODELS

import mmssm.registry  # noqa: F401


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """Small sets in the files of Human3.6M (both kinds) and MPI-INF-3DHP."""
    h36m, pickled, mpi = (tmp_path_factory.mktemp(name) for name in ('a', 'b', 'c'))
    load_script('tools/dataset_converters/mocap.py').export_fold(h36m, 0)
    with (pickled / 'h36m_sh_conf_cam_source_final.pkl').open('wb') as file:
        pickle.dump(motionbert.data(), file)
    mpi_inf_3dhp.write(mpi)
    return {
        'mmssm.Human36mDataset': h36m,
        'mmssm.Human36mMotionBERTDataset': pickled,
        'mmssm.MpiInf3dhpDataset': mpi,
    }


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_parsed_built_and_counted(path):
    config = read(path)
    # MMPose's DSTFormer reads numbers while it is built.
    with torch.device('cpu' if config.model.backbone.type == 'DSTFormer' else 'meta'):
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


LIFTERS_OF_CLIPS = [
    path for path in CONFIGS if read(path).model.head.type != 'TemporalRegressionHead'
]


def all_but_parts_of_the_model(config):
    model = {key: config['model'][key]['type'] for key in ('backbone', 'head')}
    return {**config, 'model': model}


@pytest.mark.parametrize(
    'path',
    distinct(LIFTERS_OF_CLIPS, lambda config: config['model']),
    ids=lambda path: path.stem,
)
def test_a_small_model_takes_a_step(path):
    torch.manual_seed(0)
    config = shrink(read(path), Path('work_dir'), {})
    model = MODELS.build(config.model).train()
    inputs, samples = lifting.batch(num_frames=9, channels=3)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters())
    loss, _ = model.parse_losses(model.loss(inputs, samples))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)


@pytest.mark.parametrize(
    'path',
    distinct(CONFIGS, all_but_parts_of_the_model),
    ids=lambda path: path.stem,
)
def test_a_shrunk_copy_trains_and_validates(path, tmp_path, roots):
    config = shrink(read(path), tmp_path / path.stem, roots)
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
    best = config.default_hooks.checkpoint.get('save_best', 'MPJPE')
    for error in ('MPJPE', 'P-MPJPE', best):
        assert 0 < runner.message_hub.get_scalar(f'val/{error}').current() < 1e4


def evaluated(config):
    """What decides whether predictions are decoded and measured rightly."""
    return (
        config['train_dataloader']['dataset'],
        config['val_dataloader'],
        config['val_evaluator'],
        config['model']['head']['decoder'],
    )


@pytest.mark.parametrize(
    'path', distinct(LIFTERS_OF_CLIPS, evaluated), ids=lambda path: path.stem
)
def test_perfect_predictions_have_no_error(path, tmp_path, roots):
    """Codec, head and metric undo what the training codec does."""
    config = shrink(read(path), tmp_path / path.stem, roots)
    if 'decode_by_width' in config.val_dataloader.dataset:
        # The published scale of two sequences is an error by design.
        config.val_dataloader.dataset.decode_by_width = False
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
