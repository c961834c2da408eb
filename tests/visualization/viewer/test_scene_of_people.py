"""Where people stand, what the view holds, and how two results differ."""

import numpy as np
import pytest
from helpers import results, viewer

from mmssm.evaluation.functional import mpjpe
from mmssm.visualization.viewer.comparison import (
    error_note,
    frame_errors,
    mean_over_people,
)
from mmssm.visualization.viewer.limits import scene_limits
from mmssm.visualization.viewer.placing import (
    assign_slots,
    joints_in_scene,
    place_people,
)


def test_errors_are_those_of_the_metric_after_alignment():
    here, there = results.person(0, range(5), 1), results.person(0, range(5), 2)
    ours, theirs = (one.keypoints_3d - one.keypoints_3d[:, :1] for one in (here, there))
    found = frame_errors(here, there, 0)
    for frame in range(5):
        pair = ours[frame : frame + 1], theirs[frame : frame + 1]
        assert found[frame] == pytest.approx(1000 * mpjpe(*pair), rel=1e-5)


def test_frames_and_joints_that_one_lacks_do_not_count():
    here = viewer.moving_person(frames=(0, 2, 3))
    there = viewer.moving_person(frames=(2, 3, 5))
    there.keypoints_3d[0, 1:] += np.float32([0.03, 0, 0.04])
    there.keypoints_3d[0, 5] = np.nan
    there.keypoints_3d[1] = np.nan
    found = frame_errors(here, there, 0)
    # 15 of the 16 joints that are known are moved, the root is not
    assert found[1] == pytest.approx(50 * 15 / 16, rel=1e-4)
    assert np.isnan(found[[0, 2]]).all()


def test_mean_over_the_people_of_a_frame():
    pairs = [
        (np.array([0, 1]), np.array([10.0, 20.0])),
        (np.array([1, 2]), np.array([40.0, np.nan])),
    ]
    curve = mean_over_people(pairs, 4)
    assert curve[:2].tolist() == [10, 30] and np.isnan(curve[2:]).all()
    assert '20.0 mm, mean over 2 frames of 2 people' in error_note(curve, '2 people')
    assert 'no frame in common' in error_note(curve[2:], '2 people')


def test_nobody_stands_where_another_is():
    spans = [(0, 9), (2, 5), (6, 9), (10, 12), (3, 4)]
    people = [results.person(number, span) for number, span in enumerate(spans)]
    assert assign_slots(people) == [0, 1, 1, 0, 2]
    placing = place_people(people)
    middle = sorted(placing.offsets[number][0] for number in (0, 1, 4))
    assert np.allclose(np.diff(middle), placing.spacing)
    assert sum(middle) == pytest.approx(0)
    widths = [np.ptp(person.keypoints_3d[..., 0]) for person in people]
    assert placing.spacing > max(widths)


def test_many_people_stand_in_rows():
    people = [viewer.moving_person(number, shift=9 * number) for number in range(12)]
    offsets = np.array(place_people(people).offsets)
    assert np.allclose(offsets.mean(0)[1:], [0, 0], atol=0.5)
    assert len(np.unique(offsets[:, 2])) == 3
    assert len(np.unique(offsets.round(6), axis=0)) == 12


def test_people_stand_in_the_order_of_the_image():
    people = [viewer.moving_person(number, shift=-40 * number) for number in range(3)]
    people[1].keypoints[:] = np.nan  # not known, taken for the edge of the image
    found = [offset[0] for offset in place_people(people).offsets]
    assert found[1] < found[2] < found[0]


def test_people_stand_where_they_were_estimated():
    person = results.person(0, range(3), placed=True)
    assert place_people([person]).placed
    assert not place_people([person, results.person(1)]).placed
    assert not place_people([]).placed
    found = joints_in_scene(person)
    assert np.allclose(found, person.keypoints_camera, atol=1e-5)
    beside = joints_in_scene(person, np.array([1.0, 0, 0]))
    assert np.allclose(beside - person.keypoints_3d, [1, 0, 0])


def test_the_view_holds_everybody_and_the_ground_is_below():
    points = viewer.joints_of_clip('walk', 12).astype(float)
    points[3, 4] = np.nan
    beside = np.array([3, 0, 0])
    limits = scene_limits([points, points + beside], 1.7)
    known = points[np.isfinite(points).all(-1)]
    assert (known.min(0) >= np.array(limits['low']) - 1e-3).all()
    assert ((known + beside).max(0) <= np.array(limits['high']) + 1e-3).all()
    feet = np.nanmax(points[..., 1], 1)
    assert np.median(feet) <= limits['ground'] <= feet.max() + 1e-3
    for (low, high), axis in zip(limits['grid'], (0, 2), strict=True):
        assert low <= limits['low'][axis] < limits['high'][axis] <= high
        cells = (high - low) / limits['step']
        assert cells == pytest.approx(round(cells), abs=1e-3) and cells <= 12


def test_one_wrong_frame_does_not_decide_on_the_view():
    points = np.repeat(viewer.joints_of_clip('walk', 12), 20, 0).astype(float)
    before = scene_limits([points], 1.7)
    points[7, 3] = 40
    after = scene_limits([points], 1.7)
    assert after['ground'] == pytest.approx(before['ground'], abs=0.1)
    assert max(after['high']) < 4


@pytest.mark.parametrize('points', [[], [np.full((2, 17, 3), np.nan)]])
def test_a_view_of_nothing(points):
    limits = scene_limits(points, 2.0)
    assert limits['ground'] == 1 and limits['low'][1] == -1
