"""``mmssm export``: a model by name, config or checkpoint as ONNX."""

import json

import numpy as np
import pytest

from mmssm.apis import find_model, open_onnx
from mmssm.apis.lifter import Lifter
from mmssm.cli import main
from mmssm.cli.export import build


@pytest.fixture(autouse=True)
def packages():
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name)


def test_a_model_by_name_lifts_pixels_as_the_inferencer_does(tmp_path, capsys):
    out = tmp_path / 'made' / 'a.onnx'
    assert main(['export', 'posemamba-mocap-27frm', str(out), '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['path'] == str(out) and report['num_bytes'] == out.stat().st_size
    assert max(report['max_abs_error'].values()) < 1e-4
    assert report['torch_ms'] > 0 and report['onnxruntime_ms'] > 0

    # What docs/export.md does with the file.
    width, height = 1920, 1080
    rng = np.random.default_rng(0)
    pixels = rng.uniform(200, 800, (2, 27, 17, 2))
    scores = rng.uniform(0.5, 1, (2, 27, 17, 1))
    clips = np.concatenate([(2 * pixels - (width, height)) / width, scores], -1)
    session = open_onnx(out)
    (poses,) = session.run(None, {'keypoints_2d': clips.astype(np.float32)})
    poses[:, :, 0] = 0
    lifter = Lifter('posemamba-mocap-27frm', flip_test=False, stature=None)
    wanted = lifter(np.concatenate([pixels, scores], -1), (width, height))
    np.testing.assert_allclose(poses * width / 2 * 0.004, wanted, atol=1e-5)


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
