import json

import numpy as np
import pytest
from helpers.tools import load_tool
from helpers.walking import IMAGE_SIZE, from_behind, in_joint_set, walk

from mmssm.inputs import read_keypoints

COUNT = 4


@pytest.fixture(scope='module')
def tool():
    return load_tool('dataset_converters/keypoints')


@pytest.fixture
def source(tmp_path):
    keypoints, scores = in_joint_set(from_behind(walk(COUNT)), 'halpe26')
    people = [
        {
            'image_id': f'{frame}.jpg',
            'keypoints': np.concatenate(
                [np.nan_to_num(keypoints[frame]), scores[frame, :, None]], 1
            )
            .reshape(-1)
            .tolist(),
        }
        for frame in range(COUNT)
    ]
    path = tmp_path / 'source.json'
    path.write_text(json.dumps(people))
    return path


SIZE = ['--image-size', *map(str, IMAGE_SIZE)]


def test_a_file_becomes_arrays_for_lifters(tool, source, tmp_path, capsys):
    out = tmp_path / 'out.npz'
    tool.main([str(source), str(out), *SIZE, '--fps', '50'])
    assert f'wrote 1 people, 4 poses in 4 frames, to {out}' in capsys.readouterr().out
    found = read_keypoints(out)
    assert (found.joint_set, found.image_size, found.fps) == ('h36m', IMAGE_SIZE, 50.0)
    (track,) = found.tracks
    assert (track.keypoints[:, 1, 0] > track.keypoints[:, 4, 0]).all()


def test_formats_and_joints_can_be_chosen(tool, source, tmp_path):
    out = tmp_path / 'out.json'
    tool.main([str(source), str(out), *SIZE, '--to', 'coco', '--h36m'])
    people = json.loads(out.read_text())
    assert [one['image_id'] for one in people] == [0, 1, 2, 3]
    assert {len(one['keypoints']) for one in people} == {51}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'error: .*source.json does not say how large its images are'),
        ([*SIZE, '--joint-set', 'coco'], 'has 26 joints, and coco has 17'),
        ([*SIZE, '--joint-set', 'op21'], 'has 26 joints, and op21 has 21'),
        ([*SIZE, '--to', 'h36m'], 'a file of h36m must end in .npz'),
        ([*SIZE, '--video', 'nothing.mp4'], 'error: nothing.mp4 does not exist'),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    tool, source, tmp_path, arguments, message
):
    with pytest.raises(SystemExit, match=message):
        tool.main([str(source), str(tmp_path / 'out.json'), *arguments])
    assert not (tmp_path / 'out.json').exists()


def test_hands_have_no_body(tool, tmp_path):
    path = tmp_path / 'hands.json'
    path.write_text(json.dumps([{'image_id': 0, 'keypoints': [1.0] * 63}]))
    with pytest.raises(SystemExit, match='error: the joints of op21 cannot be brought'):
        tool.main([str(path), str(tmp_path / 'a.npz'), *SIZE, '--joint-set', 'op21'])
