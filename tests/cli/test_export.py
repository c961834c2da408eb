"""``mmssm export``: a model by name, config or checkpoint as ONNX."""

import json

import pytest

from mmssm.apis import find_model
from mmssm.cli import main
from mmssm.cli.export import build

SMALL = ['--input-shape', '5', '17', '3', '--repeats', '1']


@pytest.fixture(autouse=True)
def packages():
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name)


def test_a_model_by_name(tmp_path, capsys):
    out = tmp_path / 'a.onnx'
    assert main(['export', 'posemamba-mocap-27frm', str(out), *SMALL, '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['path'] == str(out) and report['num_bytes'] == out.stat().st_size
    assert max(report['max_abs_error'].values()) < 1e-4
    assert report['torch_ms'] > 0 and report['onnxruntime_ms'] > 0


def test_a_model_by_its_checkpoint_or_its_config_is_the_same():
    entry = find_model('posemamba-mocap-27frm')
    weights = str(entry.require_weights())
    models = [
        build(weights, None, False),
        build(str(entry.config), weights, False),
        build(entry.alias, None, True),
    ]
    assert not any(model.training for model in models)
    trained, same, other = (model.backbone.state_dict() for model in models)
    name = next(iter(trained))
    assert (trained[name] == same[name]).all()
    assert (trained[name] != other[name]).any()


def test_weights_that_are_not_there(tmp_path, capsys):
    out = str(tmp_path / 'a.onnx')
    assert main(['export', 'posemamba-s-h36m', out]) == 1
    assert 'mmssm train posemamba-s-h36m' in capsys.readouterr().err
    assert main(['export', str(tmp_path / 'none.safetensors'), out]) == 1
    assert 'none.safetensors' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'wrong',
    [
        ['a.txt'],
        ['a.onnx', '--tolerance', '0'],
        ['a.onnx', '--input-shape', '0'],
        ['a.onnx', '--random-weights', '--weights', 'b.pth'],
    ],
)
def test_arguments_that_do_not_fit(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(['export', 'posemamba-mocap-27frm', *wrong])
    assert ended.value.code == 2
    assert 'usage: mmssm export' in capsys.readouterr().err
