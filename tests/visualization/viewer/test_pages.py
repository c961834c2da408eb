"""What pages hold and what they refuse; how they look is another file's."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from helpers import results, viewer

from mmssm.utils.errors import UserError
from mmssm.visualization.viewer import (
    write_annotated_video,
    write_hand_page,
    write_lifting_page,
)
from mmssm.visualization.viewer.hand_columns import all_columns, columns_of
from mmssm.visualization.viewer.hand_page import hand_errors


def data_of(path):
    text = path.read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', text)[1])


def num_pictures(path):
    strip = re.search(r'id="pictures">(.*?)</script>', path.read_text(), re.S)[1]
    return len(strip.split())


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'sub' / 'page.html'


@pytest.mark.parametrize('write', [write_lifting_page, write_hand_page])
def test_a_page_is_one_file_that_asks_for_nothing(path, write):
    result = (
        results.lifting_result() if 'lifting' in write.__name__ else viewer.ball_hands()
    )
    write(path, result)
    assert os.listdir(path.parent) == ['page.html']
    text = path.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert policy.endswith("base-uri 'none'; form-action 'none'")
    assert 'unsafe' not in policy
    assert not re.search(r'https?:', text)
    assert re.findall(r'(?:src|href)="([^"]*)"', text) == ['data:,']


def test_the_policy_names_the_script_that_is_there(path):
    import base64
    import hashlib

    write_lifting_page(path, results.lifting_result())
    text = path.read_text()
    for tag in ('script', 'style'):
        body = re.search(rf'<{tag}>(.*?)</{tag}>', text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in text


def test_a_page_of_people_and_their_video(path):
    result = viewer.lifting([viewer.moving_person()], source='/home/me/clip.mp4')
    write_lifting_page(path, result, viewer.colored_video())
    data = data_of(path)
    assert num_pictures(path) == 12
    assert (data['count'], data['fps'], data['timed']) == (12, 25.0, True)
    assert [person['name'] for person in data['people']] == ['person 1']
    assert '/home/me' not in path.read_text()


def test_images_have_no_time(path):
    write_lifting_page(path, viewer.lifting([viewer.moving_person()], fps=None))
    assert not data_of(path)['timed']


def test_other_things_are_refused(path):
    with pytest.raises(TypeError, match=r'result must be a Lifting .* persons'):
        write_lifting_page(path, {'persons': []})
    with pytest.raises(TypeError, match='result must be a HandMeshes'):
        write_hand_page(path, results.lifting_result())
    with pytest.raises(ValueError, match='num_frames is 0'):
        write_lifting_page(path, viewer.lifting([], num_frames=0))
    with pytest.raises(ValueError, match='no frame'):
        write_hand_page(path, viewer.ball_hands(frames=[]))
    assert not path.exists()


def test_nothing_is_left_of_a_page_that_fails(path):
    def broken():
        yield from viewer.colored_video(2)
        raise RuntimeError('the camera was pulled out')

    result = viewer.lifting([viewer.moving_person()])
    with pytest.raises(RuntimeError, match='pulled out'):
        write_lifting_page(path, result, broken())
    with pytest.raises(ValueError, match='320 x 240'):
        write_lifting_page(path, result, viewer.colored_video(size=(64, 48)))
    with pytest.raises(ValueError, match='no frame that could be shown'):
        write_lifting_page(path, result, [])
    with pytest.raises(UserError, match=r'none\.mp4') as error:
        write_lifting_page(path, result, path.with_name('none.mp4'))
    assert 'room' not in str(error.value)  # the disk has nothing to do with it
    assert not os.listdir(path.parent)


def test_results_that_cannot_be_compared(path):
    result = viewer.lifting([viewer.moving_person(1), viewer.moving_person(3)])
    with pytest.raises(ValueError, match=r'track_id.*\[1, 3\] and \[2\]'):
        write_lifting_page(
            path, result, other=viewer.lifting([viewer.moving_person(2)])
        )
    names = ('pelvis', *result.joint_names[1:])
    with pytest.raises(ValueError, match='pelvis'):
        write_lifting_page(path, result, other=replace(result, joint_names=names))
    hands = viewer.ball_hands()
    with pytest.raises(ValueError, match='3 and 2 frames'):
        write_hand_page(path, hands, other=replace(hands, frames=hands.frames[:2]))
    with pytest.raises(ValueError, match='different faces'):
        write_hand_page(path, hands, other=replace(hands, faces=hands.faces[:-1]))


def test_people_whom_the_other_lacks_are_told(path):
    result = viewer.lifting([viewer.moving_person(1), viewer.moving_person(2)])
    other = viewer.lifting([viewer.moving_person(2)], model='truth')
    write_lifting_page(path, result, other=other)
    data = data_of(path)
    assert ['other' in person for person in data['people']] == [False, True]
    assert any('no person of track [1]' in note for note in data['notes'])
    write_lifting_page(path, other, other=result)
    data = data_of(path)
    assert any('has track [1]: drawn in its grey' in note for note in data['notes'])
    assert [person['grey'] for person in data['people']] == [False, True]
    assert data['people'][1]['name'] == 'person 1, posemamba-mocap-27frm'


def test_a_result_of_nobody_is_compared(path):
    somebody, nobody = viewer.lifting([viewer.moving_person()]), viewer.lifting([])
    write_lifting_page(path, nobody, other=somebody)
    assert [person['grey'] for person in data_of(path)['people']] == [True]
    write_lifting_page(path, somebody, other=nobody)
    assert 'no frame in common' in data_of(path)['notes'][0]


def test_one_alone_is_compared_with_one_alone(path):
    ours, theirs = (viewer.lifting([viewer.moving_person(k)]) for k in (1, 2))
    write_lifting_page(path, ours, other=theirs)
    (person,) = data_of(path)['people']
    assert person['name'] == 'person 1' and 'other' in person


def test_results_of_videos_that_differ_are_told(path):
    result = viewer.lifting([viewer.moving_person()])
    write_lifting_page(path, result, other=replace(result, fps=50.0, model='truth'))
    notes = data_of(path)['notes']
    assert any('truth is of 12 frames at 50 fps' in note for note in notes)


def test_people_who_follow_one_another_share_a_lane(path):
    spans = {1: range(4, 9), 2: range(4), 3: range(5, 9)}
    people = [viewer.moving_person(*span) for span in spans.items()]
    write_lifting_page(path, viewer.lifting(people))
    assert [person['lane'] for person in data_of(path)['people']] == [0, 0, 1]


@pytest.mark.parametrize(
    ('changes', 'name'),
    [
        ({'model': 'truth'}, 'truth'),
        ({'source': 'x/b.mp4'}, 'posemamba-mocap-27frm, b.mp4'),
        ({}, 'another run'),
    ],
)
def test_the_other_result_has_a_name_of_its_own(path, changes, name):
    result = viewer.lifting([viewer.moving_person()])
    write_lifting_page(path, result, other=replace(result, **changes))
    assert f'beside {name} (grey)' in data_of(path)['subtitle']


def test_hands_keep_their_columns():
    right, left = viewer.ball_hand('right', 0.1), viewer.ball_hand('left', -0.1)
    frames = [[right], [left, right, right], []]
    names = [column.name for column in columns_of(frames[1])]
    assert names == ['left hand', 'right hand', 'right hand 2']
    # from the left of the image to its right
    assert all_columns(frames)[0].name == 'left hand'


def test_hands_are_matched_by_side():
    ours = viewer.ball_hands()
    swapped = [list(reversed(hands)) for hands in ours.frames]
    assert np.allclose(hand_errors(ours, replace(ours, frames=swapped))[:2], 0)
    one = replace(ours, frames=[[], ours.frames[1][:1], ours.frames[1]])
    found = hand_errors(ours, one)
    assert found[1] == 0 and np.isnan(found[[0, 2]]).all()


def test_large_meshes_are_shown_less_often(path):
    hands = viewer.ball_hand()
    result = viewer.ball_hands(frames=[[hands]] * 30)
    weight = 30 * hands.vertices.size * 2 * 4 / 3
    write_hand_page(
        path, result, viewer.colored_video(30), mesh_megabytes=weight / 2.5e6
    )
    data = data_of(path)
    assert (data['stride'], data['count'], data['total']) == (3, 10, 30)
    assert data['fps'] * 3 == pytest.approx(10)
    assert num_pictures(path) == 10
    assert any('one frame in 3' in note for note in data['notes'])


def test_images_of_a_folder_may_differ_in_size(path):
    images = [
        (0, np.zeros((240, 320, 3), np.uint8)),
        (1, np.zeros((9, 8, 3), np.uint8)),
    ]
    names = ('a<b>.jpg', 'b.jpg', 'c.jpg')
    write_hand_page(path, viewer.ball_hands(fps=None, frame_names=names), images)
    assert data_of(path)['frame_names'] == list(names)
    assert 'a<b>' not in path.read_text()


def test_hands_that_only_the_other_has_keep_a_column(path):
    result = viewer.ball_hands()
    alone = replace(result, frames=[hands[:1] for hands in result.frames])
    write_hand_page(path, alone, other=result)
    names = [column['name'] for column in data_of(path)['columns']]
    assert names == ['right hand', 'left hand']


def test_people_without_any_known_joint(path, tmp_path):
    person = viewer.moving_person()
    person.keypoints_3d[:] = np.nan
    person.keypoints[:] = np.nan
    result = viewer.lifting([person, viewer.moving_person(2)])
    write_lifting_page(path, result, other=result)
    assert len(data_of(path)['people']) == 2
    video = tmp_path / 'clip.avi'
    assert write_annotated_video(video, result, viewer.colored_video(2)) == 2


def test_hands_of_different_models_are_refused(path):
    odd = replace(viewer.ball_hand(), vertices=np.zeros((500, 3)))
    result = viewer.ball_hands(frames=[[viewer.ball_hand(), odd]])
    with pytest.raises(ValueError, match='same number of vertices'):
        write_hand_page(path, result)
