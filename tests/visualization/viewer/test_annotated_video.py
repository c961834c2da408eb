import os
import tracemalloc

import cv2
import numpy as np
import pytest
from helpers import results, viewer

from mmssm.utils.errors import UserError
from mmssm.utils.whole_files import FileNotWrittenError
from mmssm.visualization.scene import LEFT, RIGHT
from mmssm.visualization.viewer import video_file, write_annotated_video
from mmssm.visualization.viewer.palette import rgb, track_color
from mmssm.visualization.viewer.video_file import open_video


def read(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, image = video.read()
        if not there:
            return frames, video.get(cv2.CAP_PROP_FPS)
        frames.append(image[..., ::-1].astype(int))


VideoWriter = cv2.VideoWriter


class Writer:
    """Around OpenCV's class, of which none may be derived: Python would crash."""

    fourcc = staticmethod(VideoWriter.fourcc)

    def __init__(self):
        self.real = VideoWriter()

    def open(self, *args):
        return self.real.open(*args)

    def release(self):
        self.real.release()


def has(picture, color, tolerance=40):
    return (np.abs(picture - np.array(rgb(color))).max(-1) < tolerance).any()


@pytest.fixture
def walk():
    return viewer.lifting([viewer.moving_person(frames=range(1, 12))])


def test_joints_over_the_video_and_the_skeleton_beside(tmp_path, walk):
    path = tmp_path / 'sub' / 'clip.avi'
    assert write_annotated_video(path, walk, viewer.colored_video()) == 12
    assert os.listdir(path.parent) == ['clip.avi']
    frames, fps = read(path)
    assert len(frames) == 12 and fps == pytest.approx(25)
    assert frames[0].shape == (360, 480 + 360, 3)
    for number in (0, 5):
        corner = frames[number][20, 20]
        assert np.abs(corner - viewer.frame_color(number)).max() < 12
    empty, seen = frames[0], frames[5]
    for color in (LEFT, RIGHT):
        assert has(seen[:, :480], color) and has(seen[:, 480:], color)
        assert not has(empty[:, 480:], color)  # the person comes with frame 1
    # the box stands still
    assert np.abs(frames[3][-60:, 500:] - frames[8][-60:, 500:]).max() < 60


def test_joints_are_where_the_result_says(tmp_path, walk):
    path = tmp_path / 'clip.avi'
    write_annotated_video(path, walk, viewer.colored_video())
    frame = read(path)[0][4]
    person = walk.persons[0]
    for joint in (10, 13, 16):
        x, y = (person.keypoints[3, joint] + 0.5) * 1.5 - 0.5
        assert frame[round(float(y)), round(float(x))].max() < 90  # a dark dot


def test_several_people_and_interpolated_joints(tmp_path):
    people = [viewer.moving_person(1, shift=-50), viewer.moving_person(2, shift=50)]
    people[1].filled_joints[5, 10] = True
    people[0].keypoints[5, 3] = np.nan
    path = tmp_path / 'clip.avi'
    write_annotated_video(path, viewer.lifting(people), viewer.colored_video())
    frame = read(path)[0][5]
    for number in (0, 1):
        assert has(frame[:, 480:], track_color(number))
    x, y = ((people[1].keypoints[5, 10] + 0.5) * 1.5).astype(int)
    assert frame[y, x].min() > 180  # hollow


def test_places_in_the_scene_and_nobody(tmp_path):
    placed = viewer.lifting([results.person(1, range(3), placed=True)])
    nobody = viewer.lifting([])
    for number, result in enumerate((placed, nobody)):
        path = tmp_path / f'{number}.avi'
        assert write_annotated_video(path, result, viewer.colored_video(2)) == 2


def test_hands_and_their_views(tmp_path):
    result = viewer.ball_hands()
    path = tmp_path / 'hands.avi'
    assert write_annotated_video(path, result, viewer.colored_video(3)) == 3
    frames, _ = read(path)
    assert frames[0].shape == (360, 480 + 2 * 180, 3)
    # the right hand is seen from frame 0 on, the left one in frame 1 alone
    views = [frame[:, 480:].reshape(360, 2, 180, 3) for frame in frames]
    dark = [[(view[:, k].min(-1) < 150).mean() for k in (0, 1)] for view in views]
    assert dark[0][0] > 0.2 > 0.02 > dark[0][1]
    assert dark[1][0] == pytest.approx(dark[0][0], abs=0.02) and dark[1][1] > 0.2
    assert max(dark[2]) < 0.01


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.MOV', '.webm'])
def test_every_kind_of_file_can_be_read(tmp_path, suffix):
    path = tmp_path / f'clip{suffix}'
    with open_video(path, 10) as write:
        for _, image in viewer.colored_video(3, (64, 48)):
            write(image)
    frames, fps = read(path)
    assert len(frames) == 3 and fps == pytest.approx(10)
    assert np.abs(frames[1][20, 20] - viewer.frame_color(1)).max() < 16


def test_other_kinds_are_refused_by_name(tmp_path, walk):
    for name in ('clip.gif', 'clip'):
        with pytest.raises(UserError, match=r'\.mp4.*\.webm'):
            write_annotated_video(tmp_path / name, walk, viewer.colored_video())
    assert not os.listdir(tmp_path)


def test_a_codec_that_is_missing_is_named(tmp_path, walk, monkeypatch):
    class Poor(Writer):
        def open(self, *args):
            return False

    monkeypatch.setattr(video_file.cv2, 'VideoWriter', Poor)
    with pytest.raises(UserError, match=r'cannot write mp4v .*\.avi'):
        write_annotated_video(tmp_path / 'clip.mp4', walk, viewer.colored_video())
    assert not os.listdir(tmp_path)


def test_nothing_is_left_of_a_video_that_fails(tmp_path, walk):
    path = tmp_path / 'clip.avi'
    path.write_bytes(b'old')

    def broken():
        yield from viewer.colored_video(2)
        raise RuntimeError('the camera was pulled out')

    for frames, error in (
        (broken(), RuntimeError),
        ([], ValueError),
        (viewer.colored_video(size=(64, 48)), ValueError),
        (tmp_path / 'none.mp4', UserError),
    ):
        with pytest.raises(error):
            write_annotated_video(path, walk, frames)
    with pytest.raises(TypeError, match='HandMeshes'):
        write_annotated_video(path, {}, viewer.colored_video())
    assert os.listdir(tmp_path) == ['clip.avi'] and path.read_bytes() == b'old'


def test_a_file_that_lacks_frames_does_not_appear(tmp_path, walk, monkeypatch):
    class Short(Writer):
        """Writes no more after the third frame, as on a full disk."""

        count = 0

        def write(self, frame):
            self.count += 1
            if self.count <= 3:
                self.real.write(frame)

    monkeypatch.setattr(video_file.cv2, 'VideoWriter', Short)
    with pytest.raises(FileNotWrittenError, match='of 12 frames 3 could be read'):
        write_annotated_video(tmp_path / 'clip.avi', walk, viewer.colored_video())
    assert not os.listdir(tmp_path)


def test_memory_does_not_grow_with_the_video(tmp_path):
    frame = np.zeros((240, 320, 3), np.uint8)

    def peak(count):
        person = viewer.moving_person(frames=range(1))
        result = viewer.lifting([person], num_frames=count)
        tracemalloc.start()
        write_annotated_video(
            tmp_path / 'clip.avi', result, ((n, frame.copy()) for n in range(count))
        )
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(40) < peak(4) + 3 * frame.nbytes
