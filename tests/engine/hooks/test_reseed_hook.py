"""Random numbers as a function of seed and position."""

import random

import numpy as np
import torch

from mmssm.engine.hooks.reseed_hook import seed_everything


def draw(*position):
    seed_everything(*position)
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_the_same_position_gives_the_same_numbers():
    assert draw(7, 0, 3) == draw(7, 0, 3)


def test_each_source_differs_between_seeds_ranks_and_epochs():
    positions = [(7, 0, 3), (8, 0, 3), (7, 1, 3), (7, 0, 4), (7, 0, 3, 0), (7, 3, 0)]
    for numbers in zip(*(draw(*position) for position in positions), strict=True):
        assert len(set(numbers)) == len(positions)
