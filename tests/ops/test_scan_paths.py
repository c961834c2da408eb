"""Tests of `mmssm.ops.ScanPaths`."""

import pytest
import torch

from mmssm.ops import ScanPaths

ROWS = [[0, 1, 2], [2, 0, 1]]


def test_attributes():
    paths = ScanPaths(ROWS, [(0, 0, False), (1, 2, True)], segment=2)
    assert paths.index.tolist() == ROWS
    assert paths.index.dtype == torch.int64
    assert paths.index.is_contiguous()
    assert paths.steps == ((0, 0, False), (1, 2, True))
    sizes = (paths.num_paths, paths.num_tokens, paths.num_sources, paths.num_segments)
    assert sizes == (2, 3, 3, 2)
    assert 'num_tokens=3' in repr(paths)
    assert 'segment=2' in repr(paths)


@pytest.mark.parametrize(
    ('segment', 'segments'), [(None, 1), (1, 3), (2, 2), (3, 1), (9, 1)]
)
def test_number_of_segments(segment, segments):
    assert ScanPaths(ROWS, [(0, 0, False)], segment).num_segments == segments


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.int64])
def test_any_integer_index(dtype):
    index = torch.tensor(ROWS, dtype=dtype).t().contiguous().t()
    assert ScanPaths(index, [(1, 0, False)]).index.tolist() == ROWS


def test_no_tokens():
    paths = ScanPaths([[]], [(0, 0, False)])
    assert (paths.num_tokens, paths.num_segments) == (0, 1)


def test_finds_pairs():
    steps = [(0, 0, False), (1, 0, True), (0, 0, True), (0, 0, False), (0, 1, True)]
    assert ScanPaths(ROWS, steps).pairs == ((0, 2),)
    cross = [(0, 0, False), (1, 1, False), (0, 0, True), (1, 1, True)]
    assert ScanPaths(ROWS, cross).pairs == ((0, 2), (1, 3))


def test_moves_between_devices():
    paths = ScanPaths(ROWS, [(0, 0, False), (0, 0, True)], segment=2)
    assert paths.to('cpu') is paths
    moved = paths.to('meta')
    assert moved.index.device.type == 'meta'
    assert (moved.steps, moved.segment, moved.pairs) == (paths.steps, 2, ((0, 1),))


@pytest.mark.parametrize(
    ('index', 'steps', 'segment', 'kind', 'message'),
    [
        ([[0, 1, 1]], [(0, 0, False)], None, ValueError, 'index row 0 must be a perm'),
        ([[0, 1], [1, 2]], [(0, 0, False)], None, ValueError, r'row 1 .*got \[1, 2\]'),
        ([list(range(1, 40))], [(0, 0, False)], None, ValueError, r'12, \.\.\.\]'),
        ([[0.0, 1.0]], [(0, 0, False)], None, TypeError, 'index must hold integers'),
        ([[True]], [(0, 0, False)], None, TypeError, 'index must hold integers'),
        ([0, 1], [(0, 0, False)], None, ValueError, r'index must be \(P, L\)'),
        (torch.zeros(0, 3), [(0, 0, False)], None, ValueError, 'at least one row'),
        (torch.zeros(1, 1, device='meta', dtype=int), [(0, 0, False)], None,
         ValueError, r"meta device.*\.to\('meta'\)"),
        (ROWS, [], None, ValueError, 'steps must name at least one path'),
        (ROWS, [(2, 0, False)], None, ValueError, r'steps\[0\] names index row 2'),
        (ROWS, [(-1, 0, False)], None, ValueError, r'has rows 0 .. 1'),
        (ROWS, [(0, -1, False)], None, ValueError, 'names source -1'),
        (ROWS, [(0, True, False)], None, ValueError, 'names source True'),
        (ROWS, [(0, 0, 1)], None, TypeError, 'reverse = 1, expected True or False'),
        (ROWS, [(0, 0)], None, TypeError, r'must be \(index row, source, reverse\)'),
        (ROWS, [7], None, TypeError, r'steps\[0\] must be'),
        (ROWS, [(0, 0, False)], 0, ValueError, 'segment must be None or an integer'),
        (ROWS, [(0, 0, False)], 1.5, ValueError, 'segment must be'),
    ],
)  # fmt: skip
def test_wrong_paths(index, steps, segment, kind, message):
    with pytest.raises(kind, match=message):
        ScanPaths(index, steps, segment)
