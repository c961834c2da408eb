"""``mmssm lift``: files of each video, one after the other."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from helpers import walkers

from mmssm.apis import lifting_files, read_lifting_result
from mmssm.cli import main
from mmssm.inputs import write_keypoints
from mmssm.inputs.frontends import Pose2DFrontend
from mmssm.inputs.people import People
from mmssm.structures.tracks import KeypointTrack

FRAMES = 6
ALL = {
    'walk.html',
    'walk.json',
    'walk.mp4',
    'walk.npz',
    'walk.settings.json',
    'walk_2d.json',
}


@pytest.fixture
def video(tmp_path):
    """A video of six grey frames."""
    path = tmp_path / 'walk.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20, (96, 64))
    for number in range(FRAMES):
        writer.write(np.full((64, 96, 3), 20 * number, np.uint8))
    writer.release()
    return path


@pytest.fixture
def keypoints(tmp_path):
    """A file of the 2D joints of a walk."""
    path = tmp_path / 'joints.json'
    points = walkers.film(FRAMES)[0] * 0.064
    track = KeypointTrack(0, np.arange(FRAMES), points, np.ones(points.shape[:2]))
    whole = walkers.sequence(FRAMES, tracks=[track], image_size=(96, 64))
    write_keypoints(path, whole)
    return path


class Walkers:
    """A front end of mmssm.inputs that counts how often it looked."""

    name, joint_set = 'walkers', 'h36m'

    def __init__(self, there=True):
        self.looked, self.there = 0, there
        self.points = walkers.film(FRAMES)[0] * 0.064

    def start(self):
        self.frame = -1

    def __call__(self, image):
        self.looked += 1
        self.frame += 1
        if not self.there:
            return People.nobody(17)
        points = self.points[self.frame][None].astype(np.float32)
        box = np.concatenate([points[0].min(0), points[0].max(0)])[None]
        return People(points, np.full((1, 17), 0.9, np.float32), box)


@pytest.fixture
def front_end(monkeypatch):
    """What ``mmssm lift`` gets when it asks for a front end."""
    seen = Walkers()
    monkeypatch.setattr('mmssm.inputs.pose2d', lambda *_, **__: Pose2DFrontend(seen))
    return seen


def run(tmp_path, *arguments):
    out = tmp_path / 'out'
    code = main(['lift', '--out', str(out), '--device', 'cpu', *map(str, arguments)])
    return code, out


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_video_has_its_files(tmp_path, video, front_end, capsys):
    code, out = run(tmp_path, video, '--place-root')
    assert code == 0
    assert names(out) == ALL
    result = read_lifting_result(out / 'walk.json')
    again = read_lifting_result(out / 'walk.npz')
    np.testing.assert_array_equal(
        result.persons[0].keypoints_3d, again.persons[0].keypoints_3d
    )
    assert result.num_frames == FRAMES and result.frontend == 'walkers'
    assert result.persons[0].root_position is not None
    capture = cv2.VideoCapture(str(out / 'walk.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert '<html' in (out / 'walk.html').read_text()
    printed = capsys.readouterr().out
    assert 'walk.avi: 1 person in 6 frames' in printed
    assert str(out / 'walk.html') in printed


def test_keypoints_of_a_video_and_without_one(tmp_path, video, keypoints):
    code, out = run(tmp_path, video, '--keypoints', keypoints)
    assert code == 0 and names(out) == ALL
    result = read_lifting_result(out / 'walk.json')
    assert result.source == 'walk.avi'
    assert result.frontend == 'keypoint file joints.json'
    code, alone = run(tmp_path / 'alone', keypoints)
    assert code == 0
    assert names(alone) == {name.replace('walk', 'joints') for name in ALL} - {
        'joints.mp4'
    }
    one, other = (
        read_lifting_result(path).persons[0].keypoints_3d
        for path in (out / 'walk.json', alone / 'joints.json')
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_killed_run_goes_on(tmp_path, video, front_end, monkeypatch):
    """Killed when it writes the video: what was there before is not made again."""

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lifting_files, 'write_annotated_video', killed)
        assert run(tmp_path, video)[0] == 130
    out = tmp_path / 'out'
    assert names(out) == ALL - {'walk.mp4', 'walk.html'}
    before = (out / 'walk.json').stat().st_mtime_ns
    assert run(tmp_path, video)[0] == 0
    assert names(out) == ALL
    assert (out / 'walk.json').stat().st_mtime_ns == before
    assert front_end.looked == FRAMES


def test_2d_joints_outlive_other_settings_of_the_lifter(tmp_path, video, front_end):
    _, out = run(tmp_path, video, '--no-page')
    small = read_lifting_result(out / 'walk.json').persons[0].keypoints_3d
    _, out = run(tmp_path, video, '--no-page', '--stature', '3.4')
    large = read_lifting_result(out / 'walk.json').persons[0].keypoints_3d
    np.testing.assert_allclose(large, 2 * small, rtol=1e-4, atol=1e-5)
    assert front_end.looked == FRAMES
    _, out = run(tmp_path, video, '--no-page', '--fps', '10')
    assert front_end.looked == 2 * FRAMES
    assert read_lifting_result(out / 'walk.json').fps == 10


def test_a_full_disk_leaves_whole_files(
    tmp_path, video, front_end, monkeypatch, capsys
):
    def full(handle):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.fsync', full)
        assert run(tmp_path, video)[0] == 1
    assert 'No space left on device' in capsys.readouterr().err
    assert names(tmp_path / 'out') == set()
    assert run(tmp_path, video)[0] == 0


def test_nobody_is_an_error(tmp_path, video, monkeypatch, capsys):
    monkeypatch.setattr(
        'mmssm.inputs.pose2d', lambda *_, **__: Pose2DFrontend(Walkers(False))
    )
    code, out = run(tmp_path, video)
    assert code == 1
    assert 'nobody was found in the 6 frames of' in capsys.readouterr().err
    assert not {'walk.json', 'walk.html'} & names(out)


def test_a_broken_video_is_an_error_and_others_go_on(
    tmp_path, video, front_end, capsys
):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    assert run(tmp_path, broken)[0] == 1
    assert 'cannot be decoded' in capsys.readouterr().err
    code, out = run(tmp_path, broken, video, '--no-page', '--no-video')
    assert code == 1
    assert {'walk.json', 'walk.npz'} <= names(out)
    assert 'cannot be decoded' in capsys.readouterr().err


def test_a_video_that_ends_early_is_lifted_as_far_as_it_goes(
    tmp_path, video, front_end, capsys
):
    data = video.read_bytes()
    video.write_bytes(data[: len(data) * 9 // 10])
    code, out = run(tmp_path, video)
    assert code == 0
    assert 'ends early' in capsys.readouterr().out
    result = read_lifting_result(out / 'walk.json')
    assert 0 < result.num_frames < FRAMES
    assert any('ends early' in note for note in result.notes)


def test_inputs_are_not_written_over(tmp_path, keypoints, front_end, capsys):
    out = tmp_path / 'out'
    out.mkdir()
    joints, film = out / 'joints.json', out / 'film.mp4'
    joints.write_bytes(keypoints.read_bytes())
    film.write_bytes(b'a film')
    for arguments in ([joints], [film], [keypoints, '--compare', joints]):
        assert run(tmp_path, *arguments)[0] == 1
        assert f'{arguments[-1]} is an input' in capsys.readouterr().err
    assert run(tmp_path, film.rename(tmp_path / 'joints.mp4'))[0] == 1
    assert 'joints.json is there, and no joints.settings' in capsys.readouterr().err
    film = tmp_path / 'joints.mp4'
    assert names(out) == {'joints.json'}
    assert joints.read_bytes() == keypoints.read_bytes()
    assert film.read_bytes() == b'a film'


def test_what_cannot_be_compared_is_an_error(tmp_path, video, front_end, capsys):
    _, out = run(tmp_path, video, '--no-page', '--no-video')
    result = read_lifting_result(out / 'walk.json')
    others = [replace(result.persons[0], track_id=number) for number in (7, 8)]
    replace(result, persons=others).to_json(tmp_path / 'other.json')
    arguments = [video, '--no-video', '--compare', tmp_path / 'other.json']
    assert run(tmp_path, *arguments)[0] == 1
    assert 'no number is in both results' in capsys.readouterr().err


def test_another_result_is_compared(tmp_path, video, front_end):
    _, out = run(tmp_path, video, '--no-page', '--no-video')
    other = tmp_path / 'other.json'
    other.write_bytes((out / 'walk.json').read_bytes())
    code, out = run(tmp_path, video, '--no-video', '--compare', other)
    assert code == 0
    assert 'walk.html' in names(out)


@pytest.mark.parametrize('ending', ['.settings.json', '.json', '_2d.json'])
def test_a_damaged_file_is_made_anew(tmp_path, video, front_end, ending):
    _, out = run(tmp_path, video, '--no-page', '--no-video')
    whole = (out / f'walk{ending}').read_bytes()
    (out / f'walk{ending}').write_bytes(whole[: len(whole) // 2])
    if ending == '_2d.json':
        (out / 'walk.json').unlink()
    assert run(tmp_path, video, '--no-page', '--no-video')[0] == 0
    assert (out / f'walk{ending}').read_bytes() == whole
    settings = json.loads((out / 'walk.settings.json').read_text())
    assert settings['found']['frontend'] == 'walkers'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['webcam:0'], 'has no end'),
        (['0'], 'has no end'),
        (['a.mp4', 'b.mp4', '--keypoints', 'c.json'], 'those of one video'),
        (['HERE', '--batch-size', '0'], '--batch-size is 1 or more'),
        (['HERE', '--stature', '-1'], 'are positive'),
        (['HERE', '--min-score', '2'], 'lies in'),
        (['HERE', '--image-size', '9', '9'], 'a video has its own'),
        (['HERE', '--joint-set', 'coco'], 'there is none'),
        (['JOINTS', '--keypoints', 'JOINTS'], 'is none'),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path, video, keypoints, capsys, arguments, message
):
    files = {'HERE': video, 'JOINTS': keypoints}
    given = [files.get(argument, argument) for argument in arguments]
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, *given)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.mp4'], 'there is no file none.mp4'),
        (['HERE', '--model', 'posemamba-mocap-27frn'], 'did you mean'),
        (['HERE', '--frontend', 'no-such-alias'], 'no-such-alias'),
        (['JOINTS', '--window', '28'], 'take 27 or less'),
        (['JOINTS', '--out', 'JOINTS'], 'File exists'),
    ],
)
def test_what_is_not_there_is_an_error(
    tmp_path, video, keypoints, capsys, arguments, message
):
    files = {'HERE': video, 'JOINTS': keypoints}
    given = [files.get(argument, argument) for argument in arguments]
    assert run(tmp_path, *given)[0] == 1
    assert message in capsys.readouterr().err
