import math

import numpy as np
import pytest

from mmssm.inputs.frontends.regions import (
    Region,
    region_along,
    upright_angle,
    whole_image,
)


@pytest.mark.parametrize(
    ('end', 'angle'),
    [
        ((5, 0), 0.0),
        ((10, 5), math.pi / 2),
        ((0, 5), -math.pi / 2),
        ((6, 4), math.pi / 4),
    ],
)
def test_the_way_up_is_up(end, angle):
    """An angle is clockwise in the picture, whose y points down."""
    assert upright_angle(np.array([5, 5]), np.array(end)) == pytest.approx(angle)


def test_upside_down_is_half_a_turn():
    found = upright_angle(np.array([5, 5]), np.array([5, 9]))
    assert abs(found) == pytest.approx(math.pi)


@pytest.mark.parametrize('angle', [0.0, 0.7, -2.0, math.pi / 2])
def test_what_is_cut_comes_back_to_its_place(angle):
    image = np.zeros((120, 160, 3), np.uint8)
    place = np.array([93, 41])
    image[place[1] - 1 : place[1] + 2, place[0] - 1 : place[0] + 2] = (10, 20, 250)
    region = Region((90.0, 50.0), 60.0, angle)
    crop = region.cut(image, 120, repeat_border=False)
    assert crop.shape == (120, 120, 3)
    assert crop.dtype == np.float32
    spot = np.argwhere(crop[..., 0] > 0.5)  # red comes first
    assert crop[..., 0].max() == pytest.approx(250 / 255, abs=0.02)
    assert crop[..., 2].max() == pytest.approx(10 / 255, abs=0.02)
    found = region.to_image(spot.mean(0)[::-1] / 120)
    np.testing.assert_allclose(found, place, atol=0.6)


def test_a_square_along_a_person_stands_upright():
    hips, head = np.array([50.0, 60.0]), np.array([80.0, 60.0])  # lying to the right
    region = region_along(hips, head, 1.25)
    assert region.center == (50.0, 60.0)
    assert region.side == pytest.approx(75)
    # the middle of the upper side, at scale 1, is the head
    np.testing.assert_allclose(
        Region(region.center, 60, region.angle).to_image(np.array([0.5, 0.0])),
        head,
        atol=1e-4,
    )
    np.testing.assert_allclose(region.bbox, [12.5, 22.5, 87.5, 97.5])


def test_the_border_is_black_or_repeated():
    image = np.full((20, 40, 3), 255, np.uint8)
    square = whole_image(image)
    assert (square.center, square.side, square.angle) == ((20.0, 10.0), 40.0, 0.0)
    black = square.cut(image, 40, repeat_border=False)
    assert black[:9].max() == 0
    assert black[12:28].min() == 1
    assert square.cut(image, 40, repeat_border=True).min() == 1
