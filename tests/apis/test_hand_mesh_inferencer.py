"""Hand meshes in one call."""

import itertools

import cv2
import numpy as np
import pytest
import torch
from helpers.hand_network import write_hand_network, write_image, write_video

from mmssm.apis import HandMeshInferencer
from mmssm.apis.catalog import UnknownModelError
from mmssm.apis.hand_boxes import DetectedHands, FoundHands, GivenHands
from mmssm.inputs import MissingSource, UnreadableSource
from mmssm.utils.errors import UserError

BOX = [10, 12, 50, 52]
BOXES = [BOX, [30, 5, 75, 55]]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return write_hand_network(tmp_path_factory.mktemp('network'))


@pytest.fixture(scope='module')
def infer(files):
    return HandMeshInferencer(*files, device='cpu', batch_size=3, show_progress=False)


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)


def test_three_lines(image):
    """The network that ships, as the documentation shows it."""
    infer = HandMeshInferencer('hamba-small-synthhand')
    result = infer(image, bboxes=BOX, sides='left')
    (hand,) = result.frames[0]
    assert hand.side == 'left'
    assert result.faces.max() < len(hand.vertices)
    assert result.model == 'hamba-small-synthhand'
    assert result.image_size == (80, 60)
    assert result.fps is None


def test_joints_before_the_camera_are_where_the_image_has_them(infer, image):
    ((right, left),) = infer(image, BOXES, ['right', 'left']).frames
    assert (right.side, left.side) == ('right', 'left')
    assert right.bbox.tolist() == BOX
    for hand in (right, left):
        points = hand.keypoints_camera
        pixels = points[:, :2] / points[:, 2:] * hand.focal_length
        np.testing.assert_allclose(
            pixels + hand.principal_point, hand.keypoints, atol=0.1
        )
        assert hand.vertices_camera[:, 2].min() > 0
        assert hand.hand_pose.shape == (15, 3)


def test_a_left_hand_is_the_mirror_image_of_a_right_one(infer, image):
    """Of a mirrored image, with the box mirrored and the other side named."""
    mirrored = np.ascontiguousarray(image[:, ::-1])
    ((one,),) = infer(image, BOX, 'right').frames
    ((other,),) = infer(mirrored, [29, 12, 69, 52], 'left').frames
    np.testing.assert_allclose(
        one.keypoints_3d * [-1, 1, 1], other.keypoints_3d, atol=2e-3
    )
    # rotations are those of a hand model that is the mirror image
    mirror = [1, -1, -1]
    np.testing.assert_allclose(one.hand_pose * mirror, other.hand_pose, atol=2e-2)
    np.testing.assert_allclose(
        one.global_orient * mirror, other.global_orient, atol=2e-2
    )
    np.testing.assert_allclose(one.betas, other.betas, atol=2e-2)


def test_batches_over_frames_change_nothing(files, infer, image):
    images = [image, image[::-1].copy(), image, image]
    boxes = [BOXES, [], [BOX], BOXES]
    sides = [['right', 'left'], [], ['left'], ['right', 'right']]
    one = HandMeshInferencer(*files, device='cpu', batch_size=1, show_progress=False)
    together, alone = (model(images, boxes, sides) for model in (infer, one))
    assert [len(hands) for hands in together.frames] == [2, 0, 1, 2]
    for hands, others in zip(together.frames, alone.frames, strict=True):
        for hand, other in zip(hands, others, strict=True):
            assert hand.side == other.side
            np.testing.assert_allclose(hand.vertices, other.vertices, atol=1e-5)


def test_a_stream_waits_for_its_batch_alone(infer, image):
    """Frames are read as they are needed, and given out in order."""
    read = []

    def finder(frame):
        read.append(len(read))
        return FoundHands(np.array([BOX], np.float32), ('right',))

    infer._finder = finder
    try:
        stream = infer.stream([image] * 9)
        first = next(stream)
        assert (first.number, len(read)) == (0, 3)
        assert [frame.number for frame in stream] == list(range(1, 9))
    finally:
        infer._finder = None


def test_a_camera_is_looked_at_frame_by_frame(infer, image, monkeypatch):
    class Camera:
        """Never ends."""

        name, image_size, fps, num_frames, notes = 'webcam0', (80, 60), 30.0, None, []
        closed = False

        def __iter__(self):
            return ((number, image) for number in itertools.count())

        def close(self):
            self.closed = True

    camera = Camera()
    monkeypatch.setattr(
        'mmssm.apis.hand_mesh_inferencer.open_frames', lambda *_, **__: camera
    )
    stream = infer.stream('webcam', BOX, 'right')
    assert [next(stream).number for _ in range(2)] == [0, 1]
    stream.close()
    assert camera.closed
    with pytest.raises(ValueError, match='use stream'):
        infer('webcam', BOX)


def test_a_folder_may_hold_images_of_any_size(infer, tmp_path):
    for name, height in (('10.png', 60), ('2.png', 70)):
        write_image(tmp_path / name, height=height)
    (tmp_path / 'notes.txt').write_text('left aside')
    result = infer(tmp_path, BOX, 'right')
    assert result.frame_names == ('2.png', '10.png')
    assert result.image_size == (80, 70)
    (tmp_path / '3.jpg').write_bytes(b'no image')
    with pytest.raises(UnreadableSource, match=r'3\.jpg'):
        infer(tmp_path, BOX, 'right')
    frames = list(infer.stream(tmp_path, BOX, 'right', skip_unusable=True))
    assert [len(frame.hands) for frame in frames] == [1, 0, 1]
    assert '3.jpg' in frames[1].problem
    assert frames[1].image is None


def test_a_list_may_hold_arrays_of_any_size(infer, image):
    result = infer([image[:50], image[..., 0], np.dstack([image, image[..., 0]])], BOX)
    assert result.image_size == (80, 50)
    cut, gray, alpha = (hands[0].principal_point.tolist() for hands in result.frames)
    assert (cut, gray, alpha) == ([40, 25], [40, 30], [40, 30])
    with pytest.raises(UnreadableSource, match='array 1 must be an image'):
        infer([image, 'a.png'], BOX)


def test_a_video_has_its_frame_rate(infer, tmp_path):
    path = write_video(tmp_path / 'clip.avi', [40, 200])
    if path is None:
        pytest.skip('OpenCV cannot write videos here')
    result = infer(path, {1: [BOX]}, {1: ['left']})
    assert [len(hands) for hands in result.frames] == [0, 1]
    assert result.fps == 10
    assert result.source == str(path)
    assert infer(path, BOX, fps=5).fps == 5


def test_what_a_reader_should_know_is_noted(infer, image):
    assert 'right hands are assumed' in infer(image, BOX).notes[0]
    assert infer(image, BOX, 'right').notes == ()


def test_lower_precision_is_near(files, infer, image):
    lower = HandMeshInferencer(*files, device='cpu', dtype='bfloat16')
    ((hand,),), ((other,),) = (one(image, BOX).frames for one in (lower, infer))
    assert np.abs(hand.vertices - other.vertices).max() < 5e-3
    assert (hand.vertices != other.vertices).any()


def test_a_focal_length_places_hands(files, image):
    near = HandMeshInferencer(*files, device='cpu', focal_length=100.0)
    ((hand,),) = near(image, BOX).frames
    assert hand.focal_length.tolist() == [100, 100]


@pytest.mark.parametrize(
    ('boxes', 'sides', 'message'),
    [
        ([np.nan, 1, 2, 3], None, 'NaN'),
        ([50, 10, 20, 30], None, 'has no size'),
        ([500, 10, 600, 30], None, 'lies outside the image'),
        ([1, 2, 3], None, r'\(N, 4\)'),
        (BOX, 'middle', "'right' or 'left'"),
        (BOX, ['right', 'left'], '1 boxes, and 2 sides'),
        ([[BOX]] * 3, None, 'boxes of 3 frames'),
        ([[BOX], [BOX]], ['right'], 'boxes of 2 frames, and sides of 1'),
        ('here', None, 'four numbers'),
        ([[BOX], [BOX, [1, 2, 3]]], None, 'frame 1: a box is four numbers'),
        ({'a.png': BOX}, None, "numbered from 0, got 'a.png'"),
        (BOX, 5, "'right' or 'left', got 5"),
        ({2: BOX}, None, 'boxes of frame 2.* has the frames 0 to 1'),
        ({0: BOX}, {1: 'left'}, 'boxes of frame 0, and no side'),
    ],
)
def test_boxes_that_cannot_be(infer, image, boxes, sides, message):
    with pytest.raises(ValueError, match=message):
        infer([image, image], boxes, sides)


def test_a_bad_box_of_one_frame_names_it(infer, image):
    with pytest.raises(ValueError, match='frame 1'):
        infer([image, image], [[BOX], [[50, 10, 20, 30]]])


def test_sources_that_cannot_be_read(infer, tmp_path):
    with pytest.raises(MissingSource, match='none'):
        infer(tmp_path / 'none.png', BOX)
    with pytest.raises(UnreadableSource, match='no image'):
        infer(tmp_path, BOX)


def test_models_that_do_not_serve(files):
    with pytest.raises(UnknownModelError, match='hamba-small-synthhand'):
        HandMeshInferencer('hamba-smal-synthhand')
    with pytest.raises(UserError, match='mmssm train hamba'):
        HandMeshInferencer('hamba')
    with pytest.raises(UserError, match='predicts no hand meshes'):
        HandMeshInferencer('posemamba-mocap-27frm')
    for wrong in (
        dict(batch_size=0),
        dict(dtype='int8'),
        dict(dtype=torch.int8),
        dict(focal_length=-1.0),
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            HandMeshInferencer(*files, **wrong)
    with pytest.raises(UserError, match='no device'):
        HandMeshInferencer(*files, device='warp')
    if not torch.xpu.is_available():
        with pytest.raises(UserError, match="no device 'xpu'"):
            HandMeshInferencer(*files, device='xpu')
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match='sees none'):
            HandMeshInferencer(*files, device='cuda:0')


def test_without_boxes_sides_are_the_finder_s_or_one(infer, image):
    infer._finder = lambda frame: FoundHands(np.array([BOX], np.float32), ('left',))
    try:
        assert infer(image).frames[0][0].side == 'left'
        assert 'hands were found by' in infer(image).notes[0]
        assert infer(image, sides='right').frames[0][0].side == 'right'
        with pytest.raises(ValueError, match='without boxes'):
            infer(image, sides=['left'])
    finally:
        infer._finder = None


def test_given_hands_in_all_their_forms():
    always = GivenHands(np.array(BOXES), 'left')
    assert always.of(7).sides == ('left', 'left')
    frames = GivenHands(np.array([[BOX], [BOX]]), ['left', 'right'])
    assert [frames.of(i).sides for i in range(2)] == [('left',), ('right',)]
    none = GivenHands([])
    assert none.of(0).bboxes.shape == (0, 4)
    some = GivenHands({3: BOXES}, 'left')
    assert (len(some.of(3).bboxes), len(some.of(2).bboxes)) == (2, 0)
    assert GivenHands({3: BOXES}, ['left', 'right']).of(3).sides == ('left', 'right')
    assert GivenHands({'3': [BOX]}, {'3': 'left'}).of(3).sides == ('left',)


def test_a_detector_that_is_not_installed_names_both_remedies(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'mmdet.apis', None)
    with pytest.raises(UserError, match='make full') as error:
        DetectedHands('config.py', 'weights.pth')
    assert '--bbox' in str(error.value)


def test_pictures_of_hands_show_them(infer, image):
    from mmssm.apis.hand_files import HandPainter

    painter = HandPainter(infer.faces)
    big = cv2.resize(image, (480, 360))
    ((hand,),) = infer(big, [60, 60, 300, 300], 'right').frames
    overlay, views = painter.draw(big, [hand])
    assert overlay.shape == big.shape
    assert (overlay != big).any(-1).mean() > 0.02
    assert views.shape[0] == 360 and views.shape[1] > 0
    assert painter.draw(big, [])[1].size == 0
