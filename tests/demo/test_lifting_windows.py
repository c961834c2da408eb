"""The benchmark of windows, made small."""

import json

import pytest
from helpers.modules import load_script

from mmssm.apis import PoseLifterInferencer


@pytest.fixture(scope='module')
def script():
    return load_script('benchmarks/lifting/windows.py')


def test_seams_and_lengths_are_measured(script, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script, 'CLIPS', ('walk',))
    monkeypatch.setattr(
        script,
        'in_a_process',
        lambda args, frames: script.measure_length(
            script.parse_args(['--frames', str(frames)])
        ),
    )
    arguments = ['--clip-frames', '140', '--overlaps', '0', '13', '--lengths', '70']
    script.main(['--out', str(tmp_path), *arguments])
    results = json.loads((tmp_path / 'windows.json').read_text())
    assert [row['overlap'] for row in results['seams']] == [0] * 3 + [13] * 3
    cut, faded = (results['seams'][i]['ratio'] for i in (2, 5))
    assert cut > 2 > 1.3 > faded
    (length,) = results['lengths']
    assert length['frames'] == 70 and length['peak_mib'] > 0
    assert (tmp_path / 'windows.md').read_text() in capsys.readouterr().out


def test_seams_are_where_windows_meet(script):
    lift = PoseLifterInferencer(device='cpu', overlap=0)
    seams = script.at_seams(lift, 81)
    assert seams.nonzero()[0].tolist() == [26, 27, 53, 54]
    lift = PoseLifterInferencer(device='cpu', overlap=4)
    assert script.at_seams(lift, 50).nonzero()[0].tolist() == [24, 25]
