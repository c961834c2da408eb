import base64
import io

import cv2
import numpy as np
import pytest
from helpers import viewer
from PIL import Image

from mmssm.inputs.frames import UnreadableSource
from mmssm.visualization.viewer.pictures import PictureStrip, read_frames, shrink


def noise(count, size=(320, 240)):
    rng = np.random.default_rng(0)
    for number in range(count):
        yield number, rng.integers(0, 256, (size[1], size[0], 3), np.uint8)


def decoded(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_pictures_are_those_of_their_frames():
    strip = PictureStrip(12, 1e7, viewer.IMAGE_SIZE)
    texts = list(strip.encode(viewer.colored_video()))
    assert strip.frames == list(range(12))
    assert strip.sizes == [viewer.IMAGE_SIZE] * 12
    for number, text in enumerate(texts):
        error = decoded(text).astype(int) - np.array(viewer.frame_color(number))
        assert np.abs(error).max() <= 4
    assert strip.notes() == [
        'Frames with a picture: 12 of 12, JPEG, at most 320 pixels wide or high.'
    ]


@pytest.mark.parametrize('budget', [30_000, 100_000, 400_000, 3_000_000])
def test_the_size_is_bounded_whatever_is_seen(budget):
    strip = PictureStrip(30, budget)
    texts = list(strip.encode(noise(30)))
    assert sum(len(text) + 1 for text in texts) <= budget
    assert len(texts) == len(strip.frames)
    kept = len(range(0, 30, strip.stride))
    assert len(texts) + strip.left_out == kept
    if budget > 1e6:
        assert len(texts) == 30
    notes = ' '.join(strip.notes())
    assert ('one frame in' in notes) == (strip.stride > 1)
    assert ('left out' in notes) == (strip.left_out > 0)


def test_large_pictures_are_made_smaller_and_stay_so():
    strip = PictureStrip(4, 4e6)
    sizes = [decoded(text).shape for text in strip.encode(noise(4, (1000, 500)))]
    assert max(sizes[0]) == 720 and sizes[0][:2] == (360, 720)
    narrow = PictureStrip(8, 4e5)
    edges = [max(decoded(text).shape) for text in narrow.encode(noise(8, (1000, 500)))]
    assert edges == sorted(edges, reverse=True)
    assert edges[-1] < 720 and narrow.edge == edges[-1]


def test_a_video_that_ends_early_is_told():
    strip = PictureStrip(12, 1e6)
    list(strip.encode(viewer.colored_video(5)))
    assert any('Pictures missing: 7' in note for note in strip.notes())


def test_what_comes_after_the_result_is_not_read():
    def endless():
        yield from viewer.colored_video(3)
        raise AssertionError('read too far')

    strip = PictureStrip(2, 1e6)
    assert len(list(strip.encode(endless()))) == 2


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.zeros((240, 321, 3), np.uint8), r'frame 0 .* 321 x 240 .* 320 x 240'),
        (np.zeros((240, 320), np.uint8), r'frame 0 .* must be a BGR image'),
        (np.zeros((240, 320, 3), np.float32), r'frame 0 .* of uint8'),
        (None, r'frame 0 .* NoneType'),
    ],
)
def test_other_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        list(PictureStrip(1, 1e6, viewer.IMAGE_SIZE).encode([(0, image)]))


def test_frames_of_a_path_and_of_an_iterable(tmp_path):
    path = tmp_path / 'a.png'
    image = np.full((20, 30, 3), 77, np.uint8)
    cv2.imwrite(str(path), image)
    for video in (path, str(path), [(0, image)]):
        ((number, found),) = read_frames(video)
        assert number == 0 and np.array_equal(found, image)
    with pytest.raises(UnreadableSource, match=r'none\.mp4'):
        list(read_frames(tmp_path / 'none.mp4'))


def test_images_are_never_enlarged():
    image = np.zeros((30, 40, 3), np.uint8)
    assert shrink(image, 50) is image
    assert shrink(image, 20).shape == (15, 20, 3)
