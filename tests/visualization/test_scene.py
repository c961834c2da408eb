import numpy as np
import pytest
from matplotlib.figure import Figure

from mmssm.visualization import scene
from mmssm.visualization.scene import Skeleton, camera_to_plot, cube_around


def test_links_have_the_colour_of_their_side(h36m_meta, skeleton):
    names = h36m_meta['keypoint_id2name']
    for (a, b), color in zip(skeleton.links, skeleton.colors, strict=True):
        sides = {names[a].split('_')[0], names[b].split('_')[0]}
        expected = (
            scene.LEFT
            if 'left' in sides
            else scene.RIGHT
            if 'right' in sides
            else scene.CENTRE
        )
        assert color == expected
    assert set(skeleton.colors) == {scene.LEFT, scene.RIGHT, scene.CENTRE}


def test_dataset_meta_without_links_is_refused():
    with pytest.raises(ValueError, match='skeleton_links'):
        Skeleton.from_dataset_meta({'keypoint_id2name': {}})


def test_camera_axes_become_right_depth_up():
    assert camera_to_plot(np.array([1.0, 2.0, 3.0])).tolist() == [1.0, 3.0, -2.0]


def test_cube_holds_all_points_and_has_equal_edges():
    points = np.array([[0.0, 0, 0], [1, 2, 10], [np.nan, 50, 50]])
    limits = cube_around(points, margin=0.1)
    assert np.allclose(np.ptp(limits, axis=1), 12.0)
    assert np.allclose(limits.mean(axis=1), [0.5, 1, 5])


def test_cube_of_nothing_is_refused():
    with pytest.raises(ValueError, match='nothing to draw'):
        cube_around(np.full((3, 2), np.nan))


def colored_pixels(picture, color):
    from matplotlib.colors import to_rgb

    distance = np.abs(picture / 255 - np.array(to_rgb(color))).max(axis=-1)
    return int((distance < 0.02).sum())


def draw(skeleton, prediction, truth=None):
    figure = Figure(figsize=(3, 3), dpi=80)
    axes = figure.add_subplot(projection='3d')
    scene.prepare_axes_3d(axes, cube_around(prediction), -60, 12)
    if truth is not None:
        scene.draw_skeletons_3d(axes, skeleton, truth, truth=True)
    scene.draw_skeletons_3d(axes, skeleton, prediction)
    return scene.render(figure)


def test_ground_truth_never_hides_the_prediction(skeleton, sequence):
    people = camera_to_plot(sequence.target[:1])
    nearer = people - np.array([0, 0.05, 0])  # closer to the viewer
    alone = draw(skeleton, people)
    both = draw(skeleton, people, truth=nearer)
    assert not np.array_equal(alone, both)
    for color in (scene.LEFT, scene.RIGHT, scene.CENTRE):
        # not fewer: what is grey below may tint a smoothed edge
        assert colored_pixels(both, color) >= colored_pixels(alone, color) > 0


def test_several_people_are_all_drawn(skeleton, sequence):
    people = camera_to_plot(sequence.target[:1]) * 0.4
    shift = np.array([0.5, 0, 0])
    apart = np.concatenate([people - shift, people + shift])
    one, two = draw(skeleton, apart[:1]), draw(skeleton, apart)
    assert two.shape == one.shape
    assert colored_pixels(two, scene.LEFT) > 0
    left, right = np.split(two, 2, axis=1)
    assert colored_pixels(left, scene.RIGHT) and colored_pixels(right, scene.RIGHT)


def test_links_to_a_missing_joint_are_left_out(skeleton, sequence):
    people = camera_to_plot(sequence.target[:1]).copy()
    whole = draw(skeleton, people)
    people[0, 12] = np.nan  # left elbow
    assert colored_pixels(draw(skeleton, people), scene.LEFT) < colored_pixels(
        whole, scene.LEFT
    )
