"""ONNX files: they agree with PyTorch, are whole, and say what they are."""

import builtins

import numpy as np
import pytest
import torch
from helpers.tiny_models import CONFIGS, build, first_alone
from mmpose.codecs import Hand3DHeatmap
from torch import nn

from mmssm.apis import export
from mmssm.apis.export import (
    ExportError,
    OnnxFileError,
    export_onnx,
    open_onnx,
    read_onnx_metadata,
)
from mmssm.apis.onnx_ports import (
    Network,
    describe_inputs,
    describe_outputs,
    example_shape,
    joint_names,
    random_inputs,
)
from mmssm.cli import main
from mmssm.structures import h36m, hand
from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import FileNotWrittenError

onnx = pytest.importorskip('onnx', reason='needs requirements/export.txt')
pytest.importorskip('onnxruntime', reason='needs requirements/export.txt')
pytest.importorskip('onnxscript', reason='needs requirements/export.txt')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Models, files and reports, each exported once, when a test asks for it."""
    made = {}

    def get(family):
        if family not in made:
            model = build(family)
            path = tmp_path_factory.mktemp('onnx') / f'{family}.onnx'
            made[family] = model, path, export_onnx(model, path, repeats=1)
        return made[family]

    return get


@pytest.fixture
def linear():
    return nn.Linear(3, 2)


def outputs_of(model, x):
    found = model(x, None, mode='tensor')
    return found if torch.is_tensor(found) else found[-1]


@pytest.mark.parametrize('family', first_alone(CONFIGS))
def test_any_batch_agrees_with_torch(exported, family):
    model, path, report = exported(family)
    assert set(report.batches) >= {1, 2} and len(report.batches) == 3
    assert max(report.max_abs_error.values()) <= 1e-4
    session = open_onnx(path)
    (into,) = session.get_inputs()
    assert into.shape == ['batch', *example_shape(model)]
    torch.manual_seed(7)
    for batch in (1, 3, 4):  # the two last are none that the export looked at
        x = torch.randn(batch, *example_shape(model))
        with torch.inference_mode():
            wanted = outputs_of(model, x)
        wanted = [wanted] if torch.is_tensor(wanted) else list(wanted)
        found = session.run(None, {into.name: x.numpy()})
        assert len(found) == len(wanted) == len(report.outputs)
        for one, other in zip(found, wanted, strict=True):
            assert np.abs(one - other.numpy()).max() <= 1e-4


@pytest.mark.parametrize('family', first_alone(CONFIGS))
def test_file_is_plain_onnx_with_one_scan_for_each_scan(exported, family):
    _, path, report = exported(family)
    content = onnx.load(path)
    onnx.checker.check_model(content, full_check=True)
    assert {o.domain: o.version for o in content.opset_import}[''] == report.opset == 18
    assert {node.domain for node in content.graph.node} <= {'', 'ai.onnx'}
    assert not content.functions
    # No folder of the machine that wrote it: of code there is not a word.
    assert b'forward' not in path.read_bytes()
    kinds = [node.op_type for node in content.graph.node]
    scans = {'PoseMamba': 2, 'SasMamba': 2, 'DFMamba': 1, 'VMamba': 2, 'Hamba': 2}
    assert kinds.count('Scan') == scans[family]
    assert report.num_bytes == path.stat().st_size


def test_metadata_names_inputs_outputs_units_and_joints(exported):
    _, path, report = exported('PoseMamba')
    meta = read_onnx_metadata(path)
    assert meta['model'] == 'PoseLifter, PoseMamba, LiftingHead'
    (into,), (out,) = meta['inputs'], meta['outputs']
    assert into['name'] == 'keypoints_2d' and into['shape'] == ['batch', 3, 17, 3]
    assert 'confidence' in into['units']
    assert out['name'] == 'keypoints_3d' and out['shape'] == ['batch', 3, 17, 3]
    assert 'from the root' in out['units']  # as the codec of the config has it
    assert tuple(meta['joint_names']) == h36m.JOINT_NAMES == report.joint_names
    text = str(report)
    assert 'opset 18' in text and 'onnxruntime' in text and 'keypoints_3d' in text


def test_ports_of_hands_and_heatmaps():
    def ports(family):
        network = Network(build(family)).eval()
        shape = example_shape(network.model)
        into = describe_inputs(network, shape)
        with torch.inference_mode():
            outputs = network(*random_inputs(into, 2, seed=0))
        return network.model, into, describe_outputs(network, outputs)

    model, _, out = ports('Hamba')
    assert joint_names(model) == hand.JOINT_NAMES
    units = {port.name: port.units for port in out}
    assert 'metres' in units['vertices'] and 'units of the crop' in units['keypoints']
    model, (into,), out = ports('DFMamba')
    assert 'RGB' in into.units and '123.675' in into.units
    assert [port.name for port in out] == ['heatmaps'] and joint_names(model) is None


class TestStep:
    """One step of a causal lifter as a file: its state goes in and comes out."""

    @pytest.mark.parametrize('family', first_alone(['PoseMamba', 'SasMamba']))
    def test_fifty_steps_agree_with_torch(self, family, tmp_path):
        model = build(family, causal=True)
        path = tmp_path / 'step.onnx'
        report = export_onnx(model, path, step=True, repeats=1)
        frame, state = report.inputs
        channels = model.backbone.in_channels
        assert frame.shape == ('batch', 17, channels) and frame.name == 'keypoints_2d'
        assert [port.name for port in report.outputs] == ['keypoints_3d', 'next_state']
        assert state.shape == report.outputs[1].shape
        session = open_onnx(path)
        torch.manual_seed(3)
        clips = torch.rand(3, 50, 17, channels)  # of 50 frames, the table is of 3
        with torch.inference_mode():
            wanted = model(clips, None, mode='tensor').numpy()
        kept = np.zeros((3, state.shape[1]), np.float32)
        for number, frames in enumerate(clips.unbind(1)):
            pose, kept = session.run(
                None, {'keypoints_2d': frames.numpy(), 'state': kept}
            )
            np.testing.assert_allclose(pose, wanted[:, number], atol=1e-5)
        assert read_onnx_metadata(path)['inputs'][1]['name'] == 'state'

    def test_model_that_looks_ahead_has_none(self, tmp_path, capsys):
        with pytest.raises(UserError, match='PoseMamba does not go frame by frame'):
            export_onnx(build('PoseMamba'), tmp_path / 'm.onnx', step=True)
        path = str(tmp_path / 'm.onnx')
        assert main(['export', 'posemamba-mocap-27frm', path, '--step']) == 1
        assert 'posemamba-mocap-causal-27frm' in capsys.readouterr().err


def test_model_is_left_as_it_was(tmp_path):
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = export_onnx(model, tmp_path / 'm.onnx', torch.rand(1, 3), repeats=1)
    assert report.outputs[0].name == 'features'
    assert model.training and model[1].training
    assert all(p.requires_grad and p.dtype == torch.float64 for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_shape_that_a_model_does_not_say_must_be_given(linear, tmp_path):
    with pytest.raises(UserError, match=r'Linear does not say .* inputs=torch.rand'):
        export_onnx(linear, tmp_path / 'm.onnx')


def test_internets_codec_says_the_shape():
    model = nn.Module()
    model.head = nn.Module()
    model.head.decoder = Hand3DHeatmap(image_size=[64, 48])
    assert example_shape(model) == (3, 48, 64)


@pytest.mark.parametrize('shape', [(3,), (0, 3), ()])
def test_example_must_be_a_batch(linear, tmp_path, shape):
    with pytest.raises(ValueError, match='a batch of examples'):
        export_onnx(linear, tmp_path / 'm.onnx', torch.zeros(shape))


def test_ending_is_checked(linear, tmp_path):
    with pytest.raises(ValueError, match=r'ends in \.onnx, got model\.pt'):
        export_onnx(linear, tmp_path / 'model.pt', torch.zeros(1, 3))


def test_wrong_example_is_an_error_of_the_model(linear, tmp_path):
    with pytest.raises(ExportError, match=r'does not run on inputs of shape \(2, 5\)'):
        export_onnx(linear, tmp_path / 'm.onnx', torch.zeros(1, 5))
    assert not list(tmp_path.iterdir())


class Decides(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x - 1


def test_model_that_decides_on_values_cannot_be_exported(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_bytes(b'before')
    with pytest.raises(ExportError, match=r'Decides cannot be exported: .* decisions'):
        export_onnx(Decides(), path, torch.zeros(1, 3))
    assert [f.name for f in tmp_path.iterdir()] == ['m.onnx']
    assert path.read_bytes() == b'before'


@pytest.fixture
def shift(monkeypatch):
    """Makes onnxruntime's outputs differ by some value."""

    class Off:
        def __init__(self, session, value):
            self.session, self.value = session, np.float32(value)

        def run(self, *args):
            return [found + self.value for found in self.session.run(*args)]

    real = export._open
    return lambda value: monkeypatch.setattr(
        export, '_open', lambda *args: Off(real(*args), value)
    )


@pytest.mark.parametrize('value', [1e-3, float('nan')])
def test_file_that_differs_is_not_written(linear, tmp_path, shift, value):
    shift(value)
    with pytest.raises(ExportError, match=r'features by (0\.001|inf), allowed is 0.0'):
        export_onnx(linear, tmp_path / 'm.onnx', torch.zeros(1, 3))
    assert not list(tmp_path.iterdir())


def test_large_outputs_are_held_to_their_size(linear, tmp_path, shift):
    nn.init.constant_(linear.bias, 1000.0)
    shift(0.01)
    report = export_onnx(linear, tmp_path / 'm.onnx', torch.zeros(1, 3), repeats=1)
    assert 0.009 < report.max_abs_error['features'] < 0.011
    shift(1.0)
    with pytest.raises(ExportError, match='of outputs above 1 as a share'):
        export_onnx(linear, tmp_path / 'm.onnx', torch.zeros(1, 3), repeats=1)


def test_full_disk_leaves_what_was_there(linear, tmp_path, monkeypatch):
    path = tmp_path / 'm.onnx'
    path.write_bytes(b'before')
    killed = tmp_path / '.m.onnx.partial' / 'm.onnx'  # an export that was killed
    killed.parent.mkdir()
    killed.write_bytes(b'half')

    class Full:
        def save(self, destination):
            destination.write_bytes(b'half')
            raise OSError(28, 'No space left on device')

    real = export._translate

    def translate(*args):
        full = Full()
        full.model = real(*args).model
        return full

    monkeypatch.setattr(export, '_translate', translate)
    with pytest.raises(FileNotWrittenError, match=r'No space left.*was not written'):
        export_onnx(linear, path, torch.zeros(1, 3))
    assert [f.name for f in tmp_path.iterdir()] == ['m.onnx']
    assert path.read_bytes() == b'before'


def test_weights_beside_the_file(tmp_path, monkeypatch):
    """As the exporter writes them where they are more than 2 GB."""
    linear = nn.Linear(64, 64)
    real = export._translate

    def translate(*args):
        program = real(*args)
        save = program.save
        program.save = lambda path: save(path, external_data=True)
        return program

    monkeypatch.setattr(export, '_translate', translate)
    path = tmp_path / 'm.onnx'
    report = export_onnx(linear, path, torch.zeros(1, 64), repeats=1)
    assert sorted(f.name for f in tmp_path.iterdir()) == ['m.onnx', 'm.onnx.data']
    assert report.num_bytes == sum(f.stat().st_size for f in tmp_path.iterdir())
    x = torch.rand(4, 64)
    (found,) = open_onnx(path).run(None, {'inputs': x.numpy()})
    np.testing.assert_allclose(found, linear(x).detach().numpy(), atol=1e-5)
    (tmp_path / 'm.onnx.data').unlink()
    with pytest.raises(OnnxFileError, match='is no whole ONNX model'):
        open_onnx(path)


def test_missing_packages_are_named(linear, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split('.')[0] in ('onnxruntime', 'onnxscript'):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(export, 'import_module', lambda name: without(name))
    with pytest.raises(ExportError, match='pip install onnxscript onnxruntime'):
        export_onnx(linear, tmp_path / 'm.onnx', torch.zeros(1, 3))


@pytest.mark.parametrize('spoil', ['cut', 'noise', 'empty'])
def test_corrupt_files_are_refused(exported, tmp_path, spoil):
    whole = exported('PoseMamba')[1].read_bytes()
    content = {'cut': whole[: len(whole) // 2], 'noise': b'\x80no model', 'empty': b''}
    path = tmp_path / 'm.onnx'
    path.write_bytes(content[spoil])
    with pytest.raises(OnnxFileError, match=r'm\.onnx is no whole ONNX model'):
        read_onnx_metadata(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no ONNX file at'):
        open_onnx(tmp_path / 'none.onnx')
    value = onnx.helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node('Neg', ['x'], ['y'])
    graph = onnx.helper.make_graph([node], 'other', [value], [out])
    opset = [onnx.helper.make_opsetid('', 18)]
    path = tmp_path / 'other.onnx'
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    assert open_onnx(path).run(None, {'x': np.ones(1, np.float32)})[0] == -1
    with pytest.raises(OnnxFileError, match='not written by mmssm'):
        read_onnx_metadata(path)
