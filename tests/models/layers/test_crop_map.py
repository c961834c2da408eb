"""Where cells of feature maps lie in crops."""

import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.models.layers import CropMap

PLACES = torch.tensor([[0.0, 0.0], [0.1, -0.2], [-0.3, 0.5], [0.375, -0.5]])
OUTSIDE = torch.tensor([[0.45, 0.1], [-0.5, -0.6]])


def test_the_middle_192_of_256_columns():
    """X' = clamp(2 x, +-0.75) / 0.75 and y' = 2 y."""
    for crop_columns in (None, (32, 224)):
        crop_map = CropMap((16, 12), crop_columns=crop_columns)
        assert crop_map.crop_columns == (32, 224)
        both = torch.cat([PLACES, OUTSIDE])
        x, y = (2 * both).unbind(-1)
        expected = torch.stack([x.clamp(-0.75, 0.75) / 0.75, y], -1)
        torch.testing.assert_close(crop_map.grid(both), expected)


def test_the_released_geometry():
    """A margin of 0.125, half of what it is: towards the centre by up to 14 %."""
    grid = CropMap((16, 12), x_pad='released').grid(torch.cat([PLACES, OUTSIDE]))
    x, y = (2 * torch.cat([PLACES, OUTSIDE])).unbind(-1)
    expected = torch.stack([x.clamp(-0.875, 0.875) / 0.875, y], -1)
    torch.testing.assert_close(grid, expected)
    exact = CropMap((16, 12)).grid(PLACES)
    torch.testing.assert_close(grid[:4, 0], exact[:, 0] * 0.75 / 0.875)


def test_a_square_map_of_the_whole_crop():
    for x_pad in ('exact', 'released'):
        crop_map = CropMap((8, 8), x_pad=x_pad)
        assert crop_map.crop_columns == (0, 256)
        torch.testing.assert_close(crop_map.grid(PLACES), 2 * PLACES)


def test_a_map_that_reaches_over_the_border():
    """176 pixels have 6 cells of 32, which are 192."""
    crop_map = CropMap((6, 6), crop_size=176, stride=32)
    assert crop_map.crop_columns == (0, 176)
    pixels = (PLACES + 0.5) * 176
    torch.testing.assert_close(crop_map.grid(PLACES), pixels / 192 * 2 - 1)


def cell_of(grid, cells):
    """Number of the cell that ``grid_sample`` reads, without corners aligned."""
    return ((grid + 1) * cells - 1) / 2


@pytest.mark.parametrize('first_cell', [0.0, 5.5])
def test_where_the_first_cell_is_can_be_said(first_cell):
    crop_map = CropMap((8, 4), crop_columns=(64, 192), stride=32, first_cell=first_cell)
    row, column = 3, 2
    pixel = torch.tensor([64 + first_cell + 32 * column, first_cell + 32 * row])
    x, y = crop_map.grid(pixel / 256 - 0.5)
    assert cell_of(x, 4).item() == pytest.approx(column, abs=1e-5)
    assert cell_of(y, 8).item() == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(feat_size=(6, 6), crop_size=176, stride=16), '6 x 6 cells of 16 pixels'),
        (dict(feat_size=(16, 12), crop_columns=(0, 256)), '256 columns that the'),
        (dict(feat_size=(16, 12), crop_columns=(64, 192)), '128 columns that the'),
        (dict(feat_size=(8, 16)), 'is not one of the 256 rows'),
        (dict(feat_size=(8, 8), crop_columns=(9, 300)), 'two columns of the crop'),
        (dict(feat_size=(8, 0)), 'feat_size must be positive'),
        (dict(feat_size=(8,)), 'feat_size must be two numbers'),
        (dict(feat_size=(8, 8), x_pad='none'), "must be 'exact' or 'released'"),
        (
            dict(feat_size=(8, 8), x_pad='released', first_cell=0.0),
            'leave out first_cell',
        ),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CropMap(**arguments)


@pytest.mark.parametrize('shape', [(1, 4, 16, 16), (1, 3, 16, 12), (4, 16, 12)])
def test_another_map_is_refused(shape):
    crop_map = CropMap((16, 12))
    crop_map.check(torch.zeros(2, 4, 16, 12), 4)
    with pytest.raises(ValueError, match=r'expected a feature map \(N, 4, 16, 12\)'):
        crop_map.check(torch.zeros(shape), 4)
