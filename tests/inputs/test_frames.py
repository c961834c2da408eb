import json
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from mmssm.inputs import (
    MissingSource,
    UnreadableSource,
    frames,
    open_frames,
    read_keypoints,
)

SIZE = (48, 32)


def picture(value: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    image = np.full((size[1], size[0], 3), value, np.uint8)
    image[: size[1] // 2, :, 2] = 255 - value
    return image


def write_video(path: Path, count: int = 12, size: tuple[int, int] = SIZE) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20.0, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(picture(20 * number % 256, size))
    writer.release()
    return path


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp('video') / 'clip.avi')


def test_a_video_can_be_read_twice(video):
    with open_frames(video) as clip:
        assert (clip.name, clip.image_size, clip.fps) == ('clip.avi', SIZE, 20.0)
        assert clip.num_frames == 12
        for _ in range(2):
            numbers, images = zip(*clip, strict=True)
            assert numbers == tuple(range(12))
            np.testing.assert_allclose(images[3][-1, 0], [60, 60, 60], atol=4)
        assert clip.notes == []
    with pytest.raises(UnreadableSource, match='has been closed; open it again'):
        list(clip)


def test_a_loop_that_was_left_begins_anew(video):
    with open_frames(str(video), fps=5) as clip:
        assert clip.fps == 5
        assert next(iter(clip))[0] == 0
        assert sum(1 for _ in clip) == 12


def test_a_video_that_ends_early_is_read_as_far_as_it_goes(tmp_path):
    whole = write_video(tmp_path / 'whole.avi', 60, (160, 120)).read_bytes()
    short = tmp_path / 'short.avi'
    short.write_bytes(whole[: len(whole) // 2])
    with open_frames(short) as clip:
        assert clip.num_frames == 60
        count = sum(1 for _ in clip)
        assert 0 < count < 60
        assert clip.num_frames == count
        assert f'short.avi ends early: {count} of the 60 frames' in clip.notes[0]


def test_the_end_is_reported_where_the_header_promises_more(video, monkeypatch):
    monkeypatch.setattr(frames, 'cv2', Promising())
    with open_frames(video) as clip:
        assert clip.num_frames == 40
        assert sum(1 for _ in clip) == 12
        assert clip.num_frames == 12
        assert len(clip.notes) == 1
        assert 'ends early: 12 of the 40 frames' in clip.notes[0]
        assert sum(1 for _ in clip) == 12
        assert len(clip.notes) == 1


def test_a_header_that_declares_too_few_frames_is_not_believed(
    video, monkeypatch, tmp_path
):
    people = [{'image_id': number, 'keypoints': [1.0] * 51} for number in range(12)]
    (tmp_path / 'a.json').write_text(json.dumps(people))
    monkeypatch.setattr(Promising.VideoCapture, 'declared', 9.0)
    monkeypatch.setattr(frames, 'cv2', Promising())
    with open_frames(video) as clip:
        assert clip.num_frames == 9
        assert read_keypoints(tmp_path / 'a.json', video=clip).num_frames == 12
    # nor one that declares none, as of what a browser records
    monkeypatch.setattr(Promising.VideoCapture, 'declared', -1e18)
    with open_frames(video) as clip:
        assert clip.num_frames == sum(1 for _ in clip) == 12
        assert clip.notes == []


class Promising:
    """OpenCV whose videos declare another number of frames than they have."""

    def __getattr__(self, name: str):
        return getattr(cv2, name)

    class VideoCapture:
        declared = 40.0

        def __init__(self, address):
            self._capture = cv2.VideoCapture(address)

        def get(self, key):
            if key == cv2.CAP_PROP_FRAME_COUNT:
                return self.declared
            return self._capture.get(key)

        def __getattr__(self, name: str):
            return getattr(self._capture, name)


@pytest.mark.parametrize(
    ('name', 'data', 'message'),
    [
        (
            'noise.mp4',
            b'no video at all' * 40,
            r'noise.mp4 \(600 bytes\) cannot be dec',
        ),
        ('empty.mp4', b'', r'empty.mp4 \(0 bytes\) cannot be decoded'),
        ('noise.png', b'no image at all', 'image .*noise.png: it is no image'),
    ],
)
def test_what_cannot_be_decoded_is_named(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableSource, match=message):
        open_frames(tmp_path / name)


def test_large_frames_are_refused_before_they_are_decoded(video, tmp_path):
    with pytest.raises(UnreadableSource, match='48 x 32 pixels, more than max_pixels='):
        open_frames(video, max_pixels=1000)
    cv2.imwrite(str(tmp_path / 'a.png'), picture(3))
    with pytest.raises(UnreadableSource, match=r'a.png: it has 48 x 32 pixels'):
        open_frames(tmp_path / 'a.png', max_pixels=1000)


def test_a_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 9, 1, 2):
        cv2.imwrite(str(tmp_path / f'img{number}.png'), picture(number))
    (tmp_path / 'notes.txt').write_text('not an image')
    (tmp_path / '._img1.png').write_text('what macOS leaves')
    with open_frames(tmp_path) as clip:
        assert (clip.num_frames, clip.fps, clip.image_size) == (4, 25.0, SIZE)
        assert clip.name == tmp_path.name
        assert [image[-1, 0, 0] for _, image in clip] == [1, 2, 9, 10]
        assert [number for number, _ in clip] == [0, 1, 2, 3]


def test_images_of_another_size_or_damaged_are_named(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), picture(1))
    cv2.imwrite(str(tmp_path / '2.png'), picture(1, (40, 32)))
    clip = open_frames(tmp_path)
    with pytest.raises(
        UnreadableSource, match=r'2.png has 40 x 32 pixels, and .*1.png'
    ):
        list(clip)
    data = (tmp_path / '1.png').read_bytes()
    (tmp_path / '2.png').write_bytes(data[:-20])
    with pytest.raises(UnreadableSource, match=r'2.png: it is cut short'):
        list(open_frames(tmp_path))


def test_an_empty_folder_says_what_was_found(tmp_path):
    (tmp_path / 'a.txt').write_text('')
    with pytest.raises(
        UnreadableSource, match=r'holds no image .*found 1 files: a.txt'
    ):
        open_frames(tmp_path)
    with pytest.raises(MissingSource, match='does not exist'):
        open_frames(tmp_path / 'nothing.mp4')


@pytest.mark.parametrize('channels', [0, 1, 3, 4])
def test_images_with_any_channels_become_bgr(tmp_path, channels):
    shape = (8, 6) if channels == 0 else (8, 6, channels)
    array = np.full(shape, 77, np.uint8)
    if channels == 4:
        array[..., 3] = 5
    cv2.imwrite(str(tmp_path / 'a.png'), array)
    for source in (array, tmp_path / 'a.png', [array, array]):
        for _, image in open_frames(source):
            assert image.shape == (8, 6, 3)
            assert (image == 77).all()


def test_arrays_are_one_image_a_stack_or_a_list():
    stack = np.stack([picture(1), picture(2)])
    assert open_frames(stack[0]).num_frames == 1
    for source in (stack, list(stack), tuple(stack)):
        clip = open_frames(source, fps=10)
        assert (clip.num_frames, clip.image_size, clip.fps) == (2, SIZE, 10.0)
        assert [image[-1, 0, 0] for _, image in clip] == [1, 2]


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ([], 'there is no frame'),
        (
            np.zeros((4, 4), np.float32),
            r'array 0 must be an image.*\(4, 4\) of float32',
        ),
        ([picture(1), 'a.png'], 'array 1 must be an image.*got str'),
        ([picture(1), picture(1, (8, 8))], 'array 1 has 8 x 8 pixels, and array 0'),
        (np.zeros((2, 0, 3), np.uint8), 'array 0 must be an image'),
    ],
)
def test_arrays_that_are_no_images_are_named(source, message):
    with pytest.raises(UnreadableSource, match=message):
        list(open_frames(source))


def test_other_sources_are_refused():
    with pytest.raises(TypeError, match='or arrays; got float'):
        open_frames(1.5)
    with pytest.raises(TypeError, match='or arrays; got bool'):
        open_frames(True)
    with pytest.raises(UnreadableSource, match='fps must be positive, got 0'):
        open_frames(picture(1), fps=0)


class Camera:
    """Stands for OpenCV's ``VideoCapture`` of a camera with three frames."""

    opened: ClassVar[list] = []

    def __init__(self, address):
        self.opened.append(address)
        self.left = [picture(value) for value in (1, 2, 3)]

    def isOpened(self):
        return True

    def get(self, key):
        sizes = {cv2.CAP_PROP_FRAME_WIDTH: SIZE[0], cv2.CAP_PROP_FRAME_HEIGHT: SIZE[1]}
        return float(sizes.get(key, 0))

    def read(self):
        return (True, self.left.pop(0)) if self.left else (False, None)

    def release(self):
        self.left = []


@pytest.mark.parametrize(
    ('source', 'address'),
    [(0, 0), ('webcam:2', 2), ('webcam', 0), ('rtsp://host/a', 'rtsp://host/a')],
)
def test_cameras_and_streams_count_on(monkeypatch, source, address):
    monkeypatch.setattr(frames.cv2, 'VideoCapture', Camera)
    with open_frames(source) as clip:
        assert Camera.opened[-1] == address
        assert clip.num_frames is None
        assert clip.fps == 25.0
        assert 'does not say how many frames it has per second' in clip.notes[0]
        assert next(iter(clip))[0] == 0
        assert next(number for number, _ in clip) == 1
    assert list(clip) == []


def test_a_camera_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(Camera, 'isOpened', lambda self: False)
    monkeypatch.setattr(frames.cv2, 'VideoCapture', Camera)
    with pytest.raises(MissingSource, match='camera 3 cannot be opened'):
        open_frames(3)


def test_natural_order():
    names = ['b2', 'a10', 'a9', 'a010', 'a']
    assert sorted(names, key=frames.natural_order) == ['a', 'a9', 'a010', 'a10', 'b2']
