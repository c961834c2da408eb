"""Pictures of samples."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mmssm.visualization import (
    SampledTokens,
    Skeleton,
    draw_samples,
    draw_samples_sheet,
)
from mmssm.visualization.deform_samples import LARGEST_DOT, NEGATIVE, POSITIVE


@pytest.fixture
def sampled():
    tokens = np.array([[16.0, 32.0], [48.0, 16.0]])
    positions = tokens[:, None] + np.array([[-16.0, 0.0], [0, 0], [20.0, 4.0]])
    weights = np.array([[0.5, 1.0, -2.0], [0.0, 1.0, 0.25]])
    return SampledTokens('stage 3', tokens, positions, weights)


def test_dots_stand_at_the_samples_and_grow_with_the_weight(sampled):
    axes = Figure().add_subplot()
    draw_samples(axes, sampled)
    lines, dots, tokens = axes.collections
    assert len(lines.get_segments()) == 6
    np.testing.assert_allclose(lines.get_segments()[2], [[16, 32], [36, 36]])
    np.testing.assert_allclose(dots.get_offsets()[5], [68, 20])
    np.testing.assert_allclose(
        dots.get_sizes(), LARGEST_DOT * np.array([0.25, 0.5, 1, 0, 0.5, 0.125])
    )
    colors = [tuple(color[:3]) for color in dots.get_facecolors()]
    assert colors == [
        to_rgb(NEGATIVE if weight < 0 else POSITIVE) for weight in sampled.weights.flat
    ]
    np.testing.assert_allclose(tokens.get_offsets(), sampled.tokens)


def test_no_tokens_are_no_dots():
    axes = Figure().add_subplot()
    empty = SampledTokens('', np.zeros((0, 2)), np.zeros((0, 9, 2)), np.zeros((0, 9)))
    draw_samples(axes, empty)
    assert len(axes.collections[1].get_offsets()) == 0


def test_a_sheet_has_a_panel_for_each_layer_and_one_for_joints(sampled):
    skeleton = Skeleton(((0, 1),), ('red',))
    image = np.full((64, 64, 3), 255, dtype=np.uint8)
    joints = np.array([[[10.0, 10.0], [50.0, 50.0]]])
    alone = draw_samples_sheet(image, [sampled], skeleton, joints)
    beside = draw_samples_sheet(image, [sampled, sampled], skeleton, joints)
    assert alone.dtype == np.uint8 and alone.shape[2] == 3
    assert beside.shape[1] == alone.shape[1] * 3 // 2
    true = draw_samples_sheet(image, [sampled], skeleton, joints, joints + 5)
    changed = (true != alone).any(-1)
    half = alone.shape[1] // 2
    assert changed[:, half:].any() and not changed[30:, :half].any()
