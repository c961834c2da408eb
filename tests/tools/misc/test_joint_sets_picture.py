import pytest
from helpers.tools import load_tool
from PIL import Image

from mmssm.structures.joint_sets import get_joint_set


@pytest.fixture(scope='module')
def tool():
    return load_tool('misc/joint_sets_picture')


def test_the_picture_is_drawn(tool, tmp_path, capsys):
    tool.main([str(tmp_path / 'a.png')])
    with Image.open(tmp_path / 'a.png') as image:
        assert image.width > 2 * image.height
    assert 'wrote' in capsys.readouterr().out


def test_the_person_faces_the_reader(tool):
    for name in tool.SHOWN:
        joints = get_joint_set(name)
        for number, joint in enumerate(joints.joint_names):
            x, _ = tool.place(joint)
            assert {'right': x < 0, 'left': x > 0, '': x == 0}[joints.side(number)]
