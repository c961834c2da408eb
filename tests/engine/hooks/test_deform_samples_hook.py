"""Pictures of samples from a test run."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.drop_ins import batch_of, drop_in_configs, piped_sample, shrink_model
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.visualization import Visualizer
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from PIL import Image

import mmssm.registry  # noqa: F401
from mmssm.engine.hooks import DeformSamplesHook
from mmssm.engine.hooks import deform_samples_hook as module


@pytest.fixture(scope='module')
def tested():
    """A random model, a batch of its loader, and what it makes of it."""
    torch.manual_seed(0)
    [path] = [p for p in drop_in_configs('df_mamba') if 'freihand2d' in p.stem]
    config = Config.fromfile(path)
    shrink_model(config.model)
    model = MODELS.build(config.model).eval()
    batch = pseudo_collate([piped_sample(config, 'val', seed) for seed in range(2)])
    with torch.no_grad():
        outputs = model(**batch_of(model, config, 'val'), mode='predict')
    return model, batch, outputs


@pytest.fixture
def runner(tested, tmp_path):
    meta = parse_pose_metainfo({'from_file': 'configs/_base_/datasets/freihand2d.py'})
    evaluator = SimpleNamespace(dataset_meta=meta)
    return SimpleNamespace(
        model=tested[0],
        val_evaluator=evaluator,
        test_evaluator=evaluator,
        work_dir=str(tmp_path),
        timestamp='now',
        iter=40,
    )


@pytest.fixture
def stored(monkeypatch, request):
    visualizer = Visualizer.get_instance(request.node.name)
    pictures = {}
    monkeypatch.setattr(
        visualizer,
        'add_image',
        lambda name, image, step: pictures.update({name: image}),
    )
    return pictures


def test_pictures_go_to_the_folder(runner, tested, tmp_path, stored):
    _, batch, outputs = tested
    hook = DeformSamplesHook(enable=True, interval=2, out_dir='pictures')
    for index in range(3):
        hook.after_test_iter(runner, index, batch, outputs)
    found = sorted(path.name for path in (tmp_path / 'now/pictures').iterdir())
    assert found == ['none_0.png', 'none_2.png']
    with Image.open(tmp_path / 'now/pictures/none_0.png') as picture:
        assert picture.size[0] > 2 * picture.size[1]  # two stages, and the joints
    assert not stored


def test_pictures_go_to_the_backends_in_validation(runner, tested, stored):
    _, batch, outputs = tested
    DeformSamplesHook(enable=True).after_val_iter(runner, 0, batch, outputs)
    assert list(stored) == ['samples_none_0']
    assert np.ptp(stored['samples_none_0']) > 0


def test_it_is_off_by_default(runner, tested, stored):
    _, batch, outputs = tested
    DeformSamplesHook().after_val_iter(runner, 0, batch, outputs)
    DeformSamplesHook().after_test_iter(runner, 0, batch, outputs)
    assert not stored


def test_what_is_drawn(runner, tested, stored, monkeypatch):
    """The crop in RGB, its own joints, and tokens that lie under joints."""
    model, batch, outputs = tested
    drawn = {}

    def draw(image, layers, skeleton, predicted, true):
        drawn.update(image=image, layers=layers, predicted=predicted, true=true)
        return image

    monkeypatch.setattr(module, 'draw_samples_sheet', draw)
    DeformSamplesHook(enable=True).after_val_iter(runner, 0, batch, outputs)
    crop = batch['inputs'][0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(drawn['image'], crop[..., ::-1])
    seen = model.data_preprocessor(batch)['inputs'][:1]
    sample = outputs[0]
    label = model.predict(seen, [batch['data_samples'][0]])[0].pred_instances
    assert label.keypoints.shape == (1, 21, 2)
    back = drawn['predicted'] / sample.input_size * sample.input_scale
    back = back + sample.input_center - 0.5 * sample.input_scale
    np.testing.assert_allclose(back, sample.pred_instances.keypoints, atol=1e-3)
    assert drawn['true'].shape == (1, 21, 2)
    assert [layer.title for layer in drawn['layers']] == [
        'stage 3, block 1, stride 16',
        'stage 5, block 1, stride 32',
    ]
    for layer, stride in zip(drawn['layers'], (16, 32), strict=True):
        assert 1 <= len(layer.tokens) <= 6
        assert layer.positions.shape[1:] == (9, 2)
        joints = np.clip(drawn['predicted'][0], 0, 224 - stride)
        distance = np.abs(layer.tokens[:, None] - joints).max(-1).min(1)
        assert (distance <= stride / 2 + 1e-6).all()


def test_mirrored_crops():
    sample = SimpleNamespace(
        input_size=(64, 48),
        input_scale=np.array([64.0, 48.0]),
        input_center=np.array([32.0, 24.0]),
        get=lambda name, default: name == 'crop_mirrored',
    )
    joints = module._in_crop(torch.tensor([[[10.0, 20.0, 1.0]]]), sample)
    assert joints.tolist() == [[[53.0, 20.0]]]


def test_depth_images_are_grey():
    depth = torch.tensor([[[-1.0, 0.0], [1.0, 1.0]]])
    picture = module._as_picture(depth, is_bgr=False)
    assert picture[..., 0].tolist() == [[0, 127], [255, 255]]
    assert (picture == picture[..., :1]).all()


def test_an_interval_is_positive():
    with pytest.raises(ValueError, match='interval counts batches'):
        DeformSamplesHook(interval=0)
