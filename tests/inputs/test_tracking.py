import numpy as np
import pytest

from mmssm.inputs.people import People, bboxes_around, overlaps
from mmssm.inputs.tracking import PersonTracker, track_people

IMAGE_SIZE = (640, 360)
BODY = np.random.default_rng(3).uniform([-25, -80], [25, 80], (17, 2))


def person(x: float, y: float = 180.0, swing: float = 0.0) -> np.ndarray:
    """A body of 17 joints around a point, whose lower joints swing."""
    body = BODY.copy()
    body[9:, 0] += 12 * np.sin(swing)
    return body + np.array([x, y])


def people(*bodies: np.ndarray, noise: float = 0.0, seed: int = 0) -> People:
    rng = np.random.default_rng(seed)
    keypoints = np.array(bodies, np.float32).reshape(len(bodies), 17, 2)
    keypoints = keypoints + rng.normal(0, noise, keypoints.shape).astype(np.float32)
    scores = np.full(keypoints.shape[:2], 0.9, np.float32)
    return People(keypoints, scores, bboxes_around(keypoints, scores))


def crossing(num_frames: int, hidden: range) -> tuple[dict[int, People], np.ndarray]:
    """Two people who walk past each other; one is hidden for some frames.

    Returns:
        The people of each frame in an order that changes, and who is who ``(F, 2)``:
        0 walks to the right, 1 to the left, -1 nobody.
    """
    frames, who = {}, np.full((num_frames, 2), -1)
    for frame in range(num_frames):
        bodies = [
            (0, person(100 + 9 * frame, 175, frame / 3)),
            (1, person(540 - 9 * frame, 190, frame / 4)),
        ]
        if frame in hidden:
            bodies.pop()
        if frame % 3 == 1:
            bodies.reverse()
        who[frame, : len(bodies)] = [one for one, _ in bodies]
        frames[frame] = people(*(body for _, body in bodies), noise=2, seed=frame)
    return frames, who


@pytest.mark.parametrize('hidden', [range(0), range(22, 28), range(20, 34)])
def test_people_who_cross_keep_their_numbers(hidden):
    frames, who = crossing(48, hidden)
    tracker = PersonTracker(IMAGE_SIZE)
    names: dict[int, set] = {}
    for frame, found in frames.items():
        numbers = tracker.update(frame, found)
        for number, one in zip(numbers.tolist(), who[frame], strict=False):
            names.setdefault(number, set()).add(int(one))
    assert names in ({0: {0}, 1: {1}}, {0: {1}, 1: {0}})


def test_the_same_without_knowing_velocities_would_fail():
    """The test above needs the prediction: the nearest one is the wrong one."""
    frames, who = crossing(48, range(20, 34))
    last = {int(one): frames[19].keypoints[i] for i, one in enumerate(who[19])}
    back = {int(one): frames[34].keypoints[i] for i, one in enumerate(who[34])}
    distance = {
        (a, b): np.linalg.norm(last[a] - back[b], axis=-1).mean()
        for a in (0, 1)
        for b in (0, 1)
    }
    assert distance[1, 0] < distance[1, 1]


def test_walkers_who_hide_each_other_are_not_taken_for_one_another():
    """Five people to and fro; who is behind is not seen, and detections fail."""
    rng = np.random.default_rng(5)
    place, speed = rng.uniform(60, 580, 5), rng.uniform(2, 7, 5) * [1, -1, 1, -1, 1]
    depth, owner, pieces = rng.uniform(-12, 12, 5), {}, [set() for _ in range(5)]
    tracker, strangers = PersonTracker(IMAGE_SIZE), 0
    for frame in range(250):
        speed = np.where((place < 50) | (place > 590), 320 - place, speed)
        speed = np.sign(speed) * np.abs(speed).clip(2, 7) + rng.normal(0, 0.3, 5)
        place = place + speed
        seen = [
            one
            for one in rng.permutation(5).tolist()
            if rng.random() > 0.05
            and not any(
                depth[one] < depth[i] and abs(place[one] - place[i]) < 20
                for i in range(5)
            )
        ]
        bodies = [person(place[i], 180 + depth[i], frame / 4 + i) for i in seen]
        found = people(*bodies, noise=2, seed=frame)
        numbers = tracker.update(frame, found).tolist()
        for number, one in zip(numbers, seen, strict=True):
            strangers += owner.setdefault(number, one) != one
            owner[number] = one
            pieces[one].add(number)
    assert strangers == 0
    assert sum(map(len, pieces)) <= 8


def test_gaps_are_bridged_up_to_their_limit():
    for gap, count in ((5, 1), (6, 2)):
        frames = {
            frame: people(person(200 + 2 * frame))
            for frame in range(40)
            if not 10 <= frame < 10 + gap
        }
        tracks = track_people(frames, IMAGE_SIZE, max_gap=5)
        assert len(tracks) == count
        assert sum(len(track) for track in tracks) == len(frames)
        assert tracks[0].frames[9] == 9


def test_frames_without_people_count_as_gaps():
    tracker = PersonTracker(IMAGE_SIZE, max_gap=3)
    nobody = People.nobody(17)
    assert tracker.update(0, people(person(300))).tolist() == [0]
    for frame in (1, 2, 3):
        assert tracker.update(frame, nobody).tolist() == []
    assert tracker.update(4, people(person(300))).tolist() == [0]
    assert tracker.update(9, people(person(300))).tolist() == [1]


def test_who_leaves_the_picture_is_someone_new_on_return():
    out = [person(600 + 12 * frame) for frame in range(4)]
    back = [person(630 - 12 * frame) for frame in range(8)]
    frames = {frame: people(body) for frame, body in enumerate(out)}
    frames |= {6 + frame: people(body) for frame, body in enumerate(back)}
    tracks = track_people(frames, IMAGE_SIZE, max_gap=15)
    assert [track.frames.tolist() for track in tracks] == [
        [0, 1, 2, 3],
        list(range(6, 14)),
    ]
    # one who stands at the border and is overlooked is still the same
    still = {frame: people(person(600)) for frame in range(14) if frame not in (4, 5)}
    assert len(track_people(still, IMAGE_SIZE)) == 1


def test_someone_far_away_is_someone_new():
    tracker = PersonTracker(IMAGE_SIZE)
    tracker.update(0, people(person(100)))
    assert tracker.update(1, people(person(500))).tolist() == [1]


def test_missing_joints_do_not_count():
    first, second = people(person(200)), people(person(203))
    first.keypoints[0, :8], second.keypoints[0, 8:12] = np.nan, np.nan
    first.scores[0, :8] = 0
    tracker = PersonTracker(IMAGE_SIZE)
    tracker.update(0, first)
    assert tracker.update(1, second).tolist() == [0]
    # with fewer than three joints in common, boxes decide
    third = people(person(206))
    third.scores[0, 2:] = 0
    assert tracker.update(2, third).tolist() == [0]


def test_numbers_are_not_used_again():
    tracker = PersonTracker(IMAGE_SIZE, max_gap=0)
    numbers = [
        tracker.update(2 * frame, people(person(300))).tolist() for frame in range(4)
    ]
    assert numbers == [[0], [1], [2], [3]]


def test_many_people_are_paired_as_a_whole():
    rng = np.random.default_rng(0)
    places = np.linspace(60, 580, 8)
    tracker = PersonTracker(IMAGE_SIZE)
    seen = []
    for frame in range(10):
        order = rng.permutation(8)
        bodies = [person(places[i] + 4 * frame) for i in order]
        numbers = tracker.update(frame, people(*bodies, noise=2, seed=frame))
        seen.append(dict(zip(order.tolist(), numbers.tolist(), strict=True)))
    assert all(one == seen[0] for one in seen)


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match='max_gap must not be negative, got -1'):
        PersonTracker(IMAGE_SIZE, max_gap=-1)
    with pytest.raises(ValueError, match='min_similarity must lie between 0 and 1'):
        PersonTracker(IMAGE_SIZE, min_similarity=1.0)
    tracker = PersonTracker(IMAGE_SIZE)
    tracker.update(3, People.nobody(17))
    with pytest.raises(ValueError, match='frames must come in order: 3 came after 3'):
        tracker.update(3, People.nobody(17))


def test_overlaps():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 0, 0]])
    others = np.array([[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(
        overlaps(boxes, others), [[1 / 3, 1, 0], [0, 0, 0]], atol=1e-6
    )


def test_boxes_leave_missing_joints_out():
    keypoints = np.array([[[1, 2], [5, 9], [np.nan, 0]], [[1, 2], [3, 4], [5, 6]]])
    scores = np.array([[1, 1, 0], [0, 0, 0]])
    assert bboxes_around(keypoints, scores).tolist() == [[1, 2, 5, 9], [0, 0, 0, 0]]
