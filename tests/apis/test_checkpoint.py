"""Checkpoints that describe their model, and those that must be refused."""

import copy
import inspect
import json

import pytest
import torch
from helpers.lifting import tiny_model
from mmengine.config import ConfigDict
from mmpose.registry import KEYPOINT_CODECS, MODELS
from safetensors import safe_open
from safetensors.torch import save_file

import mmssm.registry  # noqa: F401
from mmssm.apis import (
    build_from_checkpoint,
    check_model_config,
    load_checkpoint,
    model_config_for_checkpoint,
    save_checkpoint,
)
from mmssm.apis.checkpoint import ALLOWED, UnsafeConfigError


@pytest.fixture
def trained():
    config = model_config_for_checkpoint(tiny_model(local_grad='identity'))
    torch.manual_seed(0)
    return config, MODELS.build(config).eval()


@pytest.fixture(params=['model.safetensors', 'model.pth'])
def saved(request, trained, tmp_path):
    config, model = trained
    path = tmp_path / request.param
    save_checkpoint(path, model.state_dict(), {'model': config, 'epoch': 3})
    return path


def test_round_trip(saved, trained):
    config, model = trained
    state_dict, meta = load_checkpoint(saved)
    assert meta == {'model': config, 'epoch': 3}
    built = build_from_checkpoint(saved)
    assert not built.training
    assert set(state_dict) == set(model.state_dict())
    x = torch.randn(1, 9, 17, 2)
    for other in (built, MODELS.build(meta['model']).eval()):
        other.load_state_dict(state_dict)
        expected = model(x, None, mode='tensor')
        assert torch.equal(other(x, None, mode='tensor'), expected)


def test_torch_reads_the_file_as_weights_only(trained, tmp_path):
    config, model = trained
    path = tmp_path / 'model.pth'
    save_checkpoint(path, model.state_dict(), {'model': config})
    content = torch.load(path, weights_only=True)
    assert content['meta']['model'] == config


def test_safetensors_hold_the_meta_data_as_json(trained, tmp_path):
    config, model = trained
    path = tmp_path / 'model.safetensors'
    save_checkpoint(path, model.state_dict(), {'model': config})
    with safe_open(path, framework='pt') as file:
        assert json.loads(file.metadata()['meta']) == {'model': config}


def test_a_training_config_is_stripped_to_plain_data():
    config = ConfigDict(tiny_model())
    config.init_cfg = dict(type='Pretrained', checkpoint='https://example.com/x.pth')
    config.backbone.init_cfg = dict(type='Pretrained', checkpoint='x.pth')
    config.train_cfg = dict()
    config.backbone.local_order = tuple(range(17))
    plain = model_config_for_checkpoint(config)
    assert type(plain) is dict and type(plain['backbone']) is dict
    assert plain['backbone']['local_order'] == list(range(17))
    assert 'init_cfg' not in plain and 'init_cfg' not in plain['backbone']
    assert 'train_cfg' not in plain


def poisoned(place, value):
    """A config with a value put at a dotted place."""
    config = copy.deepcopy(model_config_for_checkpoint(tiny_model()))
    *parents, last = place.split('.')
    node = config
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    return config


URL = dict(type='Pretrained', checkpoint='https://example.com/weights.pth')
REFUSED = [
    ('type', 'subprocess.Popen'),
    ('type', 'mmengine.runner.Runner'),
    ('type', None),
    ('type', ['PoseLifter']),
    ('backbone.type', 'os.system'),
    ('backbone.type', 'PoseMamba'),
    ('head.type', 'os.system'),
    ('head.loss', dict(type='os.system', command='true')),
    ('head.loss.type', 'builtins.eval'),
    ('head.decoder.type', 'subprocess.Popen'),
    ('head.loss', dict(type='mmssm.MANO', model='MANO_RIGHT.pkl')),
    ('head.decoder', [dict(type='subprocess.Popen', args=['true'])]),
    ('head.loss.joint_weights', [dict(type='os.system')]),
    ('init_cfg', URL),
    ('backbone.init_cfg', URL),
    ('head.init_cfg', [URL]),
    ('metainfo', dict(from_file='evil.py')),
    ('data_preprocessor', dict(type='PoseDataPreprocessor', batch_augments=[])),
    ('backbone._scope_', 'os'),
    ('backbone.embed_dim', 16),
    ('test_cfg.type', 'os.system'),
    ('test_cfg.flip_test', dict(type='os.system')),
    ('backbone.arch', dict(type='os.system')),
    ('backbone.arch', dict(command='true')),
    ('head.patch_cfg', dict(padding=2)),
    ('backbone.embed_dims', b'16'),
    ('backbone.embed_dims', torch.tensor(16)),
]


@pytest.mark.parametrize('place, value', REFUSED, ids=[str(case) for case in REFUSED])
def test_what_is_not_allowed_is_refused_before_anything_is_built(
    place, value, trained, tmp_path, monkeypatch
):
    config = poisoned(place, value)
    with pytest.raises(UnsafeConfigError, match='model'):
        check_model_config(config)
    path = tmp_path / 'model.pth'
    with pytest.raises(UnsafeConfigError):
        save_checkpoint(path, {}, {'model': config})
    if not isinstance(value, bytes):
        torch.save({'state_dict': {}, 'meta': {'model': config}}, path)
        monkeypatch.setattr(MODELS, 'build', lambda *_: pytest.fail('something built'))
        with pytest.raises(UnsafeConfigError):
            build_from_checkpoint(path)


@pytest.mark.parametrize('config', [None, [], 'PoseLifter', {}, {'backbone': {}}])
def test_a_config_is_a_dict_with_a_type(config):
    with pytest.raises(UnsafeConfigError, match="a dict with a 'type'"):
        check_model_config(config)


@pytest.mark.parametrize('name', ALLOWED)
def test_allowed_arguments_exist(name):
    if name.startswith('mmpretrain.'):
        pytest.importorskip('mmpretrain', reason='mmpretrain is not installed')
    cls = MODELS.get(name) or KEYPOINT_CODECS.get(name)
    parameters = inspect.signature(cls.__init__).parameters
    assert set(parameters) >= ALLOWED[name]


@pytest.mark.parametrize('name', [n for n in ALLOWED if n.startswith('mmssm.')])
def test_all_of_our_arguments_but_init_cfg_are_allowed(name):
    cls = MODELS.get(name) or KEYPOINT_CODECS.get(name)
    parameters = set(inspect.signature(cls.__init__).parameters)
    kept_out = {'self', 'init_cfg', 'train_cfg', 'metainfo'}
    if name == 'mmssm.MANO':
        kept_out.add('model')  # a file to read
    if name == 'mmssm.HandMeshEstimator':
        kept_out.add('prior')  # names a file to read; for training alone
    assert parameters - kept_out == ALLOWED[name]


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    path = tmp_path / 'evil.pth'
    torch.save({'state_dict': {}, 'meta': {'model': Evil()}}, path)
    with pytest.raises(ValueError, match='could run code'):
        build_from_checkpoint(path)
    assert not (tmp_path / 'ran').exists()


def test_missing_truncated_and_foreign_files(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint'):
        load_checkpoint(tmp_path / 'none.pth')
    with pytest.raises(ValueError, match=r'\.safetensors or \.pth'):
        (tmp_path / 'model.bin').touch()
        load_checkpoint(tmp_path / 'model.bin')
    content = saved.read_bytes()
    saved.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match='whole'):
        load_checkpoint(saved)


def test_files_without_the_model_are_named(tmp_path):
    path = tmp_path / 'weights.safetensors'
    save_file({'x': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"meta\['model'\]"):
        build_from_checkpoint(path)
    path = tmp_path / 'weights.pth'
    torch.save({'x': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="under 'state_dict'"):
        build_from_checkpoint(path)


def test_weights_of_another_size(trained, tmp_path):
    config, model = trained
    config = copy.deepcopy(config)
    config['backbone']['depth'] = 3
    path = tmp_path / 'model.pth'
    save_checkpoint(path, model.state_dict(), {'model': config})
    with pytest.raises(ValueError, match=r'(?s)do not fit.*spatial_blocks\.2'):
        build_from_checkpoint(path)
