"""The speed benchmark on small models."""

import json

import pytest
from helpers.modules import ROOT, load_script
from mmengine.config import Config


@pytest.fixture(scope='module')
def script():
    return load_script('benchmarks/lifting/speed.py')


def test_every_lifter_has_a_config(script):
    for config in script.LIFTERS.values():
        name = config if '::' in config else str(ROOT / config)
        assert script.load_config(name).model


@pytest.mark.parametrize(
    'name, shape, params',
    [
        ('posemamba/mocap/posemamba_xs-27frm_1xb4', (27, 17, 3), 131_571),
        ('posemamba/mocap/motionbert_dstformer-xs-27frm_1xb4', (27, 17, 3), 132_447),
        ('posemamba/mocap/image-pose-lift_tcn_1xb32', (51, 1), 4_309_043),
    ],
)
def test_one_config(script, capsys, name, shape, params):
    path = str(ROOT / f'{script.FOLDER}/{name}_mocap-fold0.py')
    assert script.clip_shape(Config.fromfile(path), None) == shape
    script.main(['--config', path, '--batch', '2', '--repeats', '1', '--threads', '1'])
    result = json.loads(capsys.readouterr().out)
    assert result['params'] == params
    for key in ('macs', 'latency_ms', 'clips_per_second', 'training_step_ms'):
        assert result[key] > 0
    assert result['training_mib'] >= result['inference_mib'] >= 0


def test_all_models_in_one_table(script, tmp_path, monkeypatch, capsys):
    small = f'{script.FOLDER}/sasmamba/mocap/sasmamba_xs-27frm_1xb4_mocap-fold0.py'
    monkeypatch.setattr(script, 'LIFTERS', {'small': small})
    arguments = ['--batch', '1', '--repeats', '1', '--threads', '1', '--frames', '5']
    script.main(['--out', str(tmp_path / 'new'), *arguments])
    results = json.loads((tmp_path / 'new' / 'speed.json').read_text())
    assert results['results']['small']['frames'] == 5
    row = (tmp_path / 'new' / 'speed.md').read_text().splitlines()[4]
    assert row.startswith('| small | 5 | 128,127 |')
    assert 'clips/s' in capsys.readouterr().out


def test_what_fails_says_so(script, tmp_path):
    args = script.parse_args(['--out', str(tmp_path)])
    with pytest.raises(RuntimeError, match=r'no_such.py failed'):
        script.measure_apart('no_such.py', args)


@pytest.mark.parametrize(
    'arguments, match',
    [
        (['--out', 'x', '--batch', '0'], 'at least 1, got 0'),
        (['--out', 'x', '--config', 'y'], 'not allowed with'),
    ],
)
def test_wrong_arguments(script, capsys, arguments, match):
    with pytest.raises(SystemExit):
        script.parse_args(arguments)
    assert match in capsys.readouterr().err
