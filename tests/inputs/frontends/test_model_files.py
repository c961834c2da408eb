import hashlib
import subprocess
import sys
import zipfile

import pytest

from mmssm.inputs.__main__ import main
from mmssm.inputs.frontends import model_files, network
from mmssm.inputs.frontends.model_files import (
    MODELS,
    ModelFile,
    ModelFileError,
    default_folder,
    download_models,
    extract_models,
    read_model,
)


@pytest.fixture
def small(monkeypatch) -> dict[str, bytes]:
    """Networks of a few bytes in place of MediaPipe's."""
    contents = {name: f'network {name}'.encode() for name in MODELS}
    for name, data in contents.items():
        digest = hashlib.sha256(data).hexdigest()
        model = ModelFile(MODELS[name].member, len(data), digest)
        monkeypatch.setitem(MODELS, name, model)
    return contents


def make_wheel(path, contents: dict[str, bytes], leave_out: str = '') -> str:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('mediapipe/__init__.py', 'raise SystemExit("it was run")')
        for name, data in contents.items():
            if name != leave_out:
                archive.writestr(MODELS[name].member, data)
    return str(path)


def test_networks_are_taken_out_of_a_wheel(tmp_path, small, capsys):
    wheel = make_wheel(tmp_path / 'a.whl', small)
    out = tmp_path / 'models'
    assert main(['fetch-mediapipe', '--wheel', wheel, '--out', str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(out / model.name) for model in MODELS.values()
    ]
    for name, data in small.items():
        assert read_model(name, out) == data


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda data: data[:-1], r'has \d+ bytes, expected \d+: it is no wheel of'),
        (
            lambda data: data[:-1] + b'?',
            r'is not the pose_landmark_full.tflite of Medi',
        ),
    ],
)
def test_another_network_is_refused_and_nothing_is_written(
    tmp_path, small, spoil, message
):
    small['pose_landmark'] = spoil(small['pose_landmark'])
    wheel = make_wheel(tmp_path / 'a.whl', small)
    with pytest.raises(ModelFileError, match=message):
        extract_models(wheel, tmp_path / 'models')
    assert not (tmp_path / 'models').exists()


def test_other_files_are_refused(tmp_path, small, capsys):
    wheel = make_wheel(tmp_path / 'a.whl', small, leave_out='hand_landmark')
    with pytest.raises(ModelFileError, match='later ones do not hold the networks'):
        extract_models(wheel, tmp_path)
    (tmp_path / 'b.whl').write_bytes(b'PK no wheel')
    with pytest.raises(ModelFileError, match=r'b.whl is damaged or no wheel \(BadZip'):
        extract_models(tmp_path / 'b.whl', tmp_path)
    assert main(['fetch-mediapipe', '--wheel', str(tmp_path / 'c.whl')]) == 1
    assert 'c.whl does not exist' in capsys.readouterr().err


def test_a_network_that_is_missing_or_damaged_names_the_command(
    tmp_path, small, monkeypatch
):
    command = 'python -m mmssm.inputs fetch-mediapipe'
    with pytest.raises(
        ModelFileError, match=f'not been fetched. Run `{command} --out {tmp_path}`'
    ):
        read_model('pose_detection', tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with pytest.raises(ModelFileError, match=f'not been fetched. Run `{command}`'):
        read_model('pose_detection')
    extract_models(make_wheel(tmp_path / 'a.whl', small), tmp_path)
    (tmp_path / 'pose_detection.tflite').write_bytes(b'network')
    with pytest.raises(
        ModelFileError, match=f'found 7 .*remove it and run `{command}`'
    ):
        read_model('pose_detection', tmp_path)


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'mmssm' / 'mediapipe-0.10.14'


def test_pip_fetches_the_wheel_and_installs_nothing(tmp_path, small, monkeypatch):
    calls = []

    def pip(command, **_):
        calls.append(command)
        folder = command[-1].removeprefix('--dest=')
        make_wheel(f'{folder}/mediapipe-0.10.14-any.whl', small)
        return subprocess.CompletedProcess(command, 0, '', '')

    monkeypatch.setattr(model_files.subprocess, 'run', pip)
    files = download_models(tmp_path)
    assert [file.read_bytes() for file in files] == list(small.values())
    assert calls[0][:5] == [
        sys.executable,
        '-m',
        'pip',
        'download',
        'mediapipe==0.10.14',
    ]
    assert '--no-deps' in calls[0]


def test_what_pip_says_is_passed_on(tmp_path, monkeypatch):
    done = subprocess.CompletedProcess([], 1, '', 'ERROR: no network')
    monkeypatch.setattr(model_files.subprocess, 'run', lambda *_, **__: done)
    with pytest.raises(
        ModelFileError, match=r'could not fetch .*ERROR: no network\. Fe'
    ):
        download_models(tmp_path)


def test_a_missing_runtime_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(network.MissingPackage, match='pip install ai-edge-litert'):
        network.load_network('pose_detection')
