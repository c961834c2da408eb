"""A hand model of random numbers in MANO's layout."""

import numpy as np

from mmssm.geometry.hand_model import ROOT_PARENT

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def hand_arrays(vertices=30, parents=PARENTS, shapes=4, seed=0):
    """Arrays under MANO's keys."""
    rng = np.random.default_rng(seed)
    joints = len(parents)
    weights = rng.random((vertices, joints)) ** 4
    regressor = rng.random((joints, vertices))
    roots = [ROOT_PARENT if parent < 0 else parent for parent in parents]
    return {
        'v_template': rng.normal(0, 0.05, (vertices, 3)),
        'f': rng.integers(0, vertices, (2 * vertices, 3)).astype(np.uint32),
        'shapedirs': rng.normal(0, 0.01, (vertices, 3, shapes)),
        'posedirs': rng.normal(0, 0.001, (vertices, 3, 9 * (joints - 1))),
        'J_regressor': regressor / regressor.sum(1, keepdims=True),
        'kintree_table': np.array([roots, range(joints)], np.uint32),
        'weights': weights / weights.sum(1, keepdims=True),
        'hands_mean': rng.normal(0, 0.2, 3 * (joints - 1)),
    }
