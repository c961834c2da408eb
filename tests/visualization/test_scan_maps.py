"""Pictures of who reads whom, and of curves over faults."""

import numpy as np

from mmssm.visualization.robustness import plot_sweeps
from mmssm.visualization.scan_maps import SharePanel, draw_reads, draw_shares


def lightness(picture):
    return picture.astype(float).sum(-1)


def test_a_share_lights_up_where_it_is_read():
    shares = np.full((4, 4), 1e-3)
    shares[0, 3] = 1.0
    one = draw_shares([SharePanel('a', shares, 'frame')])
    other = draw_shares([SharePanel('a', shares.T, 'frame')])
    changed = np.argwhere(np.abs(lightness(one) - lightness(other)) > 200)
    first = np.argwhere(lightness(one) - lightness(other) > 200).mean(0)
    middle = changed.mean(0)
    assert first[0] < middle[0] and first[1] > middle[1]  # above, to the right


def test_names_stand_beside_the_squares():
    shares = np.eye(3)
    named = draw_shares([SharePanel('a', shares, 'joint', ['hip', 'knee', 'foot'])])
    assert not np.array_equal(named, draw_shares([SharePanel('a', shares, 'joint')]))
    two = draw_shares([SharePanel('a', shares, 'joint')] * 2)
    assert two.shape[1] > 1.8 * named.shape[1]


def test_reads_have_a_panel_for_each_token_and_one_for_the_image():
    reads = np.zeros((2, 6, 8))
    reads[0, 2, 3] = reads[1, 5, 7] = 1
    tokens = np.array([[0, 0], [5, 7]])
    alone = draw_reads(reads, tokens)
    image = np.full((60, 80, 3), (0, 200, 0), np.uint8)
    beside = draw_reads(reads, tokens, 'layer', image)
    assert beside.shape[1] > 1.4 * alone.shape[1]
    green = (beside == (0, 200, 0)).all(-1)
    assert green[:, : beside.shape[1] // 3].any()
    assert not green[:, beside.shape[1] // 3 :].any()


def test_layers_that_read_nothing_can_be_drawn():
    assert draw_shares([SharePanel('a', np.zeros((3, 3)), 'token')]).any()


def test_sweeps_share_a_scale_that_begins_at_zero():
    low = {'MPJPE': ([0, 1, 2], [10.0, 11.0, 12.0])}
    high = {'MPJPE': ([0, 1, 2], [10.0, 50.0, 100.0])}
    both = plot_sweeps({'noise': low, 'joints': high}, title='model')
    alone = plot_sweeps({'noise': low})
    assert both.shape[1] > 1.8 * alone.shape[1]
    assert not np.array_equal(both[:, : alone.shape[1]], alone)
