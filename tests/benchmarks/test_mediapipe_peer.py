"""The comparison with MediaPipe, without MediaPipe."""

import json

import cv2
import numpy as np

from benchmarks.inputs import mediapipe_peer


def test_people_and_hands_are_paired_with_the_nearest():
    pose = np.zeros((33, 2)).tolist()
    near, far = np.full((21, 2), 10.0), np.full((21, 2), 90.0)
    ours = {
        'a': {
            'pose': pose,
            'hands': [['left', far.tolist()], ['right', near.tolist()]],
        },
        'b': {'pose': None, 'hands': [['left', near.tolist()]]},
    }
    theirs = {
        'a': {'pose': np.tile([3.0, 4.0], (33, 1)).tolist(), 'hands': []},
        'b': {'pose': pose, 'hands': []},
    }
    theirs['a']['hands'] = [
        ['right', (near + np.array([0, 1])).tolist()],
        ['right', (far + np.array([2, 0])).tolist()],
    ]
    rows = mediapipe_peer.compare(ours, theirs)
    assert rows['pose'] == {
        'both': 1,
        'ours_alone': 0,
        'theirs_alone': 1,
        'mean_px': 5.0,
        'max_px': 5.0,
        'same_side': 1,
    }
    assert rows['hands'] == {
        'both': 2,
        'ours_alone': 1,
        'theirs_alone': 0,
        'mean_px': 1.5,
        'max_px': 2.0,
        'same_side': 1,
    }


def test_both_see_the_same_pictures(tmp_path, monkeypatch, capsys):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('1.png', '2.png'):
        cv2.imwrite(str(folder / name), np.zeros((40, 60, 3), np.uint8))
    nothing = {'pose': None, 'hands': []}

    def find(folder):
        return {path.stem: nothing for path in sorted(folder.glob('*.png'))}

    def start(command, check):
        assert command[0] == 'other-python'
        mediapipe_peer.main(command[2:])

    monkeypatch.setattr(mediapipe_peer, 'look', find)
    monkeypatch.setattr(mediapipe_peer, 'look_as_peer', find)
    monkeypatch.setattr(mediapipe_peer.subprocess, 'run', start)
    mediapipe_peer.main(
        [str(folder), '--peer', 'other-python', '--out', str(tmp_path / 'out')]
    )
    rows = json.loads((tmp_path / 'out' / 'mediapipe_peer.json').read_text())
    assert rows['pose']['both'] == 0
    assert 'hands: both 0, ours alone 0, theirs alone 0' in capsys.readouterr().out
