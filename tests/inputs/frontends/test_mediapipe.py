"""The arithmetic around the networks, with networks that know where things are."""

import importlib.util
import json
import math

import cv2
import numpy as np
import pytest

from mmssm.datasets.synthhand.samples import RgbSamples
from mmssm.geometry.cameras import project
from mmssm.inputs import open_frames
from mmssm.inputs.frontends import (
    HandBoxes,
    MediapipeHands,
    MediapipePose,
    Pose2DFrontend,
)
from mmssm.inputs.frontends.mediapipe_hands import hand_region
from mmssm.inputs.frontends.mediapipe_pose import refine
from mmssm.inputs.frontends.model_files import MODELS, default_folder
from mmssm.inputs.frontends.regions import Region
from mmssm.inputs.frontends.ssd import make_anchors

SIZE = (320, 240)


def raw_detections(
    anchors: np.ndarray, size: int, found: list[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """What a detector would put out for boxes and points, in units of its input."""
    num_points = len(found[0][1]) if found else 4
    raw = np.zeros((len(anchors), 4 + 2 * num_points), np.float32)
    logits = np.full((len(anchors), 1), -20, np.float32)
    for box, points in found:
        center = (box[:2] + box[2:]) / 2
        nearest = np.argsort(np.linalg.norm(anchors - center, axis=1))[:3]
        for anchor in nearest:
            values = [center - anchors[anchor], box[2:] - box[:2]]
            values += [point - anchors[anchor] for point in points]
            raw[anchor] = np.concatenate(values) * size
            logits[anchor] = 3
    return [raw, logits]


class Person:
    """A person who is drawn as coloured dots, so that crops show where they are."""

    def __init__(self, hips: tuple[float, float], angle: float = 0.0, height=80.0):
        self.hips = np.array(hips)
        self.up = np.array([math.sin(angle), -math.cos(angle)])
        self.height = height

    @property
    def top(self) -> np.ndarray:
        return self.hips + self.height * self.up


def image_of(people: list[Person]) -> np.ndarray:
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for person in people:
        cv2.circle(image, tuple(person.hips.astype(int).tolist()), 4, (0, 0, 255), -1)
        cv2.circle(image, tuple(person.top.astype(int).tolist()), 4, (0, 255, 0), -1)
    return image


class Networks:
    """Both stages for pictures of :func:`image_of`, by looking at the colours."""

    def __init__(self) -> None:
        self.detections = 0
        self.looks = 0
        self.anchors = make_anchors(224, (8, 16, 32, 32, 32))

    def detect(self, crop: np.ndarray) -> list[np.ndarray]:
        self.detections += 1
        assert crop.shape == (224, 224, 3)
        assert crop.min() == -1
        hips, tops = (self.spots((crop[..., i] > 0) * 1.0) for i in (0, 1))
        found = []
        for spot in hips:
            top = min(tops, key=lambda other: np.linalg.norm(other - spot))
            box = np.concatenate([spot - 0.05, spot + 0.05])
            found.append((box, np.stack([spot, top, spot, top])))
        return raw_detections(self.anchors, 224, found)

    def look(self, crop: np.ndarray) -> list[np.ndarray]:
        self.looks += 1
        assert crop.shape == (256, 256, 3)
        raw = np.zeros((39, 5), np.float32)
        hips, tops = (self.spots((crop[..., i] > 0.5) * 1.0) for i in (0, 1))
        if not len(hips) or not len(tops):
            return self.outputs(raw, 0.0)
        middle = np.array([0.5, 0.5])
        hip = min(hips, key=lambda spot: np.linalg.norm(spot - middle))
        top = min(tops, key=lambda spot: np.linalg.norm(spot - middle))
        raw[:, :2] = 256 * hip
        raw[[0, 34], :2] = 256 * top  # the nose, and the circle of the next frame
        raw[:, 3], raw[:, 4] = 2.0, 3.0
        raw[15, 3] = -5.0
        return self.outputs(raw, 0.9)

    @staticmethod
    def outputs(raw: np.ndarray, flag: float) -> list[np.ndarray]:
        heatmap = np.full((64, 64, 39), -20, np.float32)
        return [raw.reshape(195), np.float32([flag]), raw, heatmap, raw]

    @staticmethod
    def spots(mask: np.ndarray) -> list[np.ndarray]:
        count, labels = cv2.connectedComponents(mask.astype(np.uint8))
        return [
            np.argwhere(labels == label).mean(0)[::-1] / len(mask)
            for label in range(1, count)
        ]


def estimator(max_people: int = 4) -> tuple[MediapipePose, Networks]:
    networks = Networks()
    return MediapipePose(networks.detect, networks.look, max_people), networks


@pytest.mark.parametrize('angle', [0.0, 0.6, -1.5])
def test_joints_come_back_to_the_image(angle):
    person = Person((150, 120), angle)
    pose, _ = estimator()
    found = pose(image_of([person]))
    assert found.keypoints.shape == (1, 33, 2)
    np.testing.assert_allclose(found.keypoints[0, 23], person.hips, atol=1.5)
    np.testing.assert_allclose(found.keypoints[0, 0], person.top, atol=1.5)
    # the lesser of visibility and presence
    np.testing.assert_allclose(found.scores[0, 0], 1 / (1 + math.exp(-2)), atol=1e-6)
    np.testing.assert_allclose(found.scores[0, 15], 1 / (1 + math.exp(5)), atol=1e-6)
    low, high = np.minimum(person.hips, person.top), np.maximum(person.hips, person.top)
    np.testing.assert_allclose(found.bboxes[0], [*low, *high], atol=2)


def test_the_square_is_the_circle_around_the_hips():
    pose, _ = estimator()
    (region,) = pose.detect(image_of([Person((150, 120), 0.4, 60)]))
    np.testing.assert_allclose(region.center, [150, 120], atol=1.5)
    assert region.side == pytest.approx(2 * 60 * 1.25, rel=0.03)
    assert region.angle == pytest.approx(0.4, abs=0.03)


def test_people_are_followed_without_asking_the_detector_again():
    pose, networks = estimator(max_people=1)
    for step in range(4):
        person = Person((120 + 5 * step, 120))
        found = pose(image_of([person]))
        np.testing.assert_allclose(found.keypoints[0, 23], person.hips, atol=1.5)
    assert (networks.detections, networks.looks) == (1, 4)
    pose.start()
    pose(image_of([Person((120, 120))]))
    assert networks.detections == 2


def test_new_people_join_and_nobody_is_found_twice():
    pose, networks = estimator(max_people=2)
    first, second = Person((70, 120)), Person((250, 120))
    assert len(pose(image_of([first]))) == 1
    both = pose(image_of([first, second]))
    np.testing.assert_allclose(both.keypoints[:, 23], [[70, 120], [250, 120]], atol=1.5)
    assert networks.looks == 3
    # two squares that come to hold one person are one person
    pose._regions = [pose._regions[0], pose._regions[0]]
    assert len(pose(image_of([first]))) == 1


def test_people_side_by_side_are_two():
    pair = [Person((140, 120)), Person((182, 120))]  # half their squares in common
    pose, _ = estimator()
    for _ in range(3):
        found = pose(image_of(pair))
        places = sorted(found.keypoints[:, 23, 0].tolist())
        np.testing.assert_allclose(places, [140, 182], atol=2)


def test_no_more_people_than_asked_for():
    people = [Person((x, 120), height=40) for x in (50, 150, 250)]
    assert len(estimator(max_people=2)[0](image_of(people))) == 2
    assert len(estimator(max_people=5)[0](image_of(people))) == 3


def test_a_picture_without_people():
    pose, networks = estimator()
    found = pose(image_of([]))
    assert found.keypoints.shape == (0, 33, 2)
    assert networks.looks == 0
    # and one whose person is gone
    pose(image_of([Person((150, 120))]))
    assert len(pose(image_of([]))) == 0
    assert pose._regions == []


def test_the_front_end_makes_tracks_of_it():
    left = [Person((60 + 4 * step, 120)) for step in range(6)]
    right = [Person((250, 125)) for _ in range(6)]
    images = [image_of(list(pair)) for pair in zip(left, right, strict=True)]
    images[3] = image_of([left[3]])
    frontend = Pose2DFrontend(estimator()[0])
    with open_frames(images, fps=10) as frames:
        sequence = frontend(frames)
        stream = list(frontend.stream(frames))
    assert (sequence.joint_set, sequence.num_frames) == ('mediapipe_pose', 6)
    assert (sequence.image_size, sequence.fps) == (SIZE, 10.0)
    tracks = {round(float(t.keypoints[0, 23, 0]), -1): t for t in sequence.tracks}
    assert tracks[60].frames.tolist() == [0, 1, 2, 3, 4, 5]
    assert tracks[250].frames.tolist() == [0, 1, 2, 4, 5]
    assert [one.frame for one in stream] == list(range(6))
    assert [len(one) for one in stream] == [2, 2, 2, 1, 2, 2]
    for one in stream:
        for index, number in enumerate(one.track_ids):
            track = next(t for t in sequence.tracks if t.track_id == number)
            row = track.frames.tolist().index(one.frame)
            np.testing.assert_array_equal(track.keypoints[row], one.keypoints[index])


def test_landmarks_move_to_the_heat_around_them():
    heatmap = np.full((64, 64, 3), -20, np.float32)
    heatmap[20, 30, 0] = heatmap[20, 32, 0] = 5  # within reach: between them
    heatmap[20, 40, 1] = 5  # out of reach
    heatmap[20, 31, 2] = -0.1  # too faint
    points = np.tile(np.float32([30.5 / 64, 20.5 / 64]), (3, 1))
    moved = refine(points, heatmap)
    np.testing.assert_allclose(moved[0], [31 / 64, 20 / 64], atol=1e-6)
    np.testing.assert_array_equal(moved[1:], points[1:])
    outside = np.float32([[1.2, 0.5], [-0.1, 0.5], [0.5, 1.0]])
    np.testing.assert_array_equal(refine(outside, heatmap), outside)


# --- hands --------------------------------------------------------------------------


class HandNetworks:
    """Both stages for hands that are drawn as a red wrist and a green knuckle."""

    def __init__(self, handedness: float = 0.9, present: float = 0.8):
        self.handedness, self.present = handedness, present
        self.anchors = make_anchors(192, (8, 16, 16, 16))

    def detect(self, crop: np.ndarray) -> list[np.ndarray]:
        assert crop.shape == (192, 192, 3)
        assert crop.min() == 0
        wrists, knuckles = (Networks.spots((crop[..., i] > 0.5) * 1.0) for i in (0, 1))
        found = []
        for wrist in wrists:
            base = min(knuckles, key=lambda other: np.linalg.norm(other - wrist))
            middle, half = (wrist + base) / 2, np.linalg.norm(base - wrist) / 2
            box = np.concatenate([middle - half, middle + half])
            found.append((box, np.stack([wrist, wrist, base, *[base] * 4])))
        return raw_detections(self.anchors, 192, found)

    def look(self, crop: np.ndarray) -> list[np.ndarray]:
        assert crop.shape == (224, 224, 3)
        raw = np.zeros((21, 3), np.float32)
        for joint, channel in ((0, 0), (9, 1)):
            spots = Networks.spots((crop[..., channel] > 0.5) * 1.0)
            spot = min(spots, key=lambda one: np.linalg.norm(one - 0.5))
            raw[joint:, :2] = 224 * spot
        return [
            raw.reshape(63),
            np.float32([self.present]),
            np.float32([self.handedness]),
            raw,
        ]


def hands(max_hands: int = 2, mirrored: bool = False, **networks) -> MediapipeHands:
    both = HandNetworks(**networks)
    return MediapipeHands(both.detect, both.look, max_hands, mirrored)


def test_hands_come_back_to_the_image():
    pair = [Person((80, 150), 0.5, 40), Person((240, 110), -2.0, 40)]
    found = hands()(image_of(pair), frame=7)
    assert (found.frame, len(found)) == (7, 2)
    order = np.argsort(found.keypoints[:, 0, 0])
    for person, joints in zip(pair, found.keypoints[order], strict=True):
        np.testing.assert_allclose(joints[0], person.hips, atol=1.5)
        np.testing.assert_allclose(joints[9], person.top, atol=1.5)
    np.testing.assert_allclose(found.scores, 0.8)
    low = np.minimum(pair[0].hips, pair[0].top)
    np.testing.assert_allclose(found.bboxes[order[0], :2], low, atol=1.5)


@pytest.mark.parametrize(
    ('handedness', 'mirrored', 'side'),
    [
        (0.9, False, 'right'),
        (0.1, False, 'left'),
        (0.9, True, 'left'),
        (0.1, True, 'right'),
    ],
)
def test_sides_are_the_persons(handedness, mirrored, side):
    """MediaPipe's number is that of "Left" in a mirrored picture."""
    found = hands(mirrored=mirrored, handedness=handedness)(
        image_of([Person((150, 150))])
    )
    assert found.sides == (side,)
    np.testing.assert_allclose(found.side_scores, 0.9, atol=1e-6)


def test_what_is_no_hand_is_left_out():
    image = image_of([Person((150, 150))])
    assert len(hands(present=0.4)(image)) == 0
    nothing = hands()(image_of([]))
    assert nothing.keypoints.shape == (0, 21, 2)
    assert nothing.bboxes.shape == (0, 4)
    three = [Person((x, 150), height=40) for x in (50, 150, 250)]
    assert len(hands(max_hands=2)(image_of(three))) == 2


def test_clasped_hands_are_two_and_no_hand_is_found_twice(monkeypatch):
    hand = hands()
    image = image_of([Person((150, 150))])
    (region,) = hand.detect(image)
    monkeypatch.setattr(hand, 'detect', lambda image: [region, region])
    assert len(hand(image)) == 1
    turned = [Person((150, 150), 0.0, 40), Person((160, 112), 3.0, 40)]
    assert len(hands()(image_of(turned))) == 2


def test_hands_of_a_clip_are_numbered_by_frame():
    images = [image_of([Person((150, 150))]), image_of([])]
    found = list(hands().stream(open_frames(images)))
    assert [(one.frame, len(one)) for one in found] == [(0, 1), (1, 0)]


def test_the_square_of_a_hand_lies_towards_the_fingers():
    box = np.array([40.0, 50.0, 60.0, 70.0])
    up = hand_region(box, np.array([50, 68]), np.array([50, 52]))
    np.testing.assert_allclose(up.center, [50, 50])
    assert up.side == pytest.approx(52)
    assert up.angle == pytest.approx(0)
    right = hand_region(box, np.array([42, 60]), np.array([58, 60]))
    np.testing.assert_allclose(right.center, [60, 60])
    assert right.angle == pytest.approx(math.pi / 2)


def test_wrong_arguments_are_named():
    networks = Networks()
    with pytest.raises(ValueError, match='max_people must be at least 1, got 0'):
        MediapipePose(networks.detect, networks.look, 0)
    with pytest.raises(ValueError, match='min_score must lie between 0 and 1, got 1'):
        MediapipePose(networks.detect, networks.look, min_score=1.0)
    with pytest.raises(ValueError, match='max_hands must be at least 1'):
        hands(max_hands=0)
    with pytest.raises(ValueError, match='min_score must lie between'):
        MediapipeHands(networks.detect, networks.look, min_score=0.0)
    found = hands()(image_of([Person((150, 150))]))
    fields = {name: getattr(found, name) for name in found.__dataclass_fields__}
    with pytest.raises(
        ValueError, match=r"sides must be 'left' or 'right', got \['up'\]"
    ):
        HandBoxes(**{**fields, 'sides': ('up',)})
    with pytest.raises(ValueError, match=r'bboxes must be \(1, 4\) for 1 hands'):
        HandBoxes(**{**fields, 'bboxes': np.zeros((2, 4), np.float32)})


# --- the real networks --------------------------------------------------------------

HAS_NETWORKS = importlib.util.find_spec('ai_edge_litert') is not None and all(
    (default_folder() / model.name).is_file() for model in MODELS.values()
)
REAL = pytest.mark.skipif(
    not HAS_NETWORKS,
    reason='needs ai-edge-litert and `python -m mmssm.inputs fetch-mediapipe`',
)


@REAL
def test_the_real_networks_find_a_rendered_right_hand():
    """Joints and side of a hand of the generated set, and of its mirror image."""
    sample = RgbSamples(seed=0)('training', 3)
    image = cv2.imdecode(np.frombuffer(sample.files['rgb'], np.uint8), cv2.IMREAD_COLOR)
    points, camera = (np.array(json.loads(sample.rows[name])) for name in ('xyz', 'K'))
    wanted = project(points, camera[[0, 1], [0, 1]], camera[:2, 2])
    found = MediapipeHands.load()(image)
    assert found.sides == ('right',)
    assert found.side_scores[0] > 0.9
    error = np.linalg.norm(found.keypoints[0] - wanted, axis=-1)
    assert np.median(error) < 0.1 * np.ptp(wanted, axis=0).max()
    mirrored = np.ascontiguousarray(image[:, ::-1])
    assert MediapipeHands.load()(mirrored).sides == ('left',)
    assert MediapipeHands.load(mirrored=True)(mirrored).sides == ('right',)


@REAL
def test_the_real_networks_see_no_person_in_noise():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (120, 200, 3), dtype=np.uint8)
    pose = MediapipePose.load()
    assert pose(noise).keypoints.shape == (0, 33, 2)
    # the second stage, asked all the same
    pose._regions = [Region((100.0, 60.0), 100.0, 0.3)]
    pose.max_people, pose.min_score = 1, 0.0
    assert pose(noise).keypoints.shape == (1, 33, 2)
