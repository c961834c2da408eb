"""The cross scan visits a grid as the figure shows."""

import mmssm.registry  # noqa: F401
from mmssm.models.layers import cross_paths


def test_orders_of_a_small_grid():
    # 0 1 2
    # 3 4 5
    paths = cross_paths(2, 3, sources=(0, 1))
    assert paths.index.tolist() == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]]
    assert paths.steps == ((0, 0, False), (1, 1, False), (0, 0, True), (1, 1, True))
    assert paths.segment is None
