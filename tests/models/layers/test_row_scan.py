"""The plain sweep."""

from functools import partial

import torch

import mmssm.registry  # noqa: F401
from mmssm.models.layers import PathCache, RowScan, cross_paths


def test_it_reads_row_by_row_and_never_back():
    torch.manual_seed(0)
    layer = RowScan(4, paths=PathCache(partial(cross_paths, used=(0,))))
    x = torch.randn(1, 3, 4, 4)
    later = x.clone()
    later[:, 1, 2] += 1
    change = (layer(later) - layer(x)).abs().amax((0, 3)) > 0
    assert change.flatten().tolist() == [False] * 6 + [True] * 6


def test_the_state_goes_on_from_row_to_row():
    torch.manual_seed(0)
    layer = RowScan(4, paths=PathCache(partial(cross_paths, used=(0,))))
    x = torch.randn(2, 3, 4, 4)
    as_row = x.flatten(1, 2).unsqueeze(1)
    torch.testing.assert_close(layer(x).flatten(1, 2), layer(as_row).squeeze(1))
