import os

import numpy as np
import pytest
from helpers.modules import load_script

from mmssm.apis import read_lifting_result
from mmssm.structures import h36m


@pytest.fixture
def demo():
    return load_script('demo/viewer_pages.py')


def test_pages_of_people(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'LONGEST', 27)
    demo.write_people(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [
        'joints.json',
        'people.html',
        'people.json',
        'people.mp4',
        'walk.html',
    ]
    result = read_lifting_result(tmp_path / 'people.json')
    assert [len(person) for person in result.persons] == [27, 27]
    truth = demo.truth_of(demo.film(), demo.keypoints_of(demo.film()))
    ours, theirs = (one.persons[0].keypoints_3d for one in (result, truth))
    error = 1000 * np.linalg.norm(ours - theirs, axis=-1).mean()
    assert error < 120  # millimetres; a network that is wrong somewhere has 300
    assert 'MPJPE after root alignment' in (tmp_path / 'walk.html').read_text()


def test_everybody_is_in_the_picture(demo):
    for seen in demo.film().values():
        assert seen['keypoints'].min() > 0 and seen['keypoints'].max() < 1000
        assert seen['keypoints'].shape[1:] == (h36m.NUM_JOINTS, 2)


def test_the_page_of_hands(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'NUM_HANDS', 2)
    demo.write_hands(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ['hand.jpg', 'hands.html', 'hands.json']
    assert '2 hands' in (tmp_path / 'hands.html').read_text()


def test_help_says_what_appears(demo, capsys):
    with pytest.raises(SystemExit):
        demo.main(['--help'])
    assert 'people.html' in capsys.readouterr().out
