"""The sampler of one token for each joint."""

import torch

import mmssm.registry  # noqa: F401
from mmssm.models.layers import CropMap, TokenSampler


def coordinate_map(rows, columns, left=0, stride=16, size=256):
    """A map whose cells hold their own places in the crop, x and y."""
    x = (left + stride * (torch.arange(columns) + 0.5)) / size - 0.5
    y = stride * (torch.arange(rows) + 0.5) / size - 0.5
    return torch.stack(torch.meshgrid(x, y, indexing='xy'))[None]


def test_a_map_of_places_gives_the_places():
    torch.manual_seed(0)
    for rows, columns, left in ((16, 12, 32), (16, 16, 0)):
        sampler = TokenSampler(2, CropMap((rows, columns)))
        # between the middles of the outer cells
        places = (torch.rand(1, 21, 2) - 0.5) * torch.tensor([0.68, 0.92])
        read = sampler.sample(coordinate_map(rows, columns, left), places)
        torch.testing.assert_close(read.mT, places, atol=1e-6, rtol=0)


def test_released_places_are_drawn_to_the_middle():
    sampler = TokenSampler(2, CropMap((16, 12), x_pad='released'))
    places = torch.tensor([[[0.3, 0.2], [-0.2, 0.0]]])
    read = sampler.sample(coordinate_map(16, 12, 32), places).mT
    torch.testing.assert_close(read, places * torch.tensor([0.75 / 0.875, 1]))


def test_outside_is_nothing():
    sampler = TokenSampler(1, CropMap((4, 4), crop_size=64))
    read = sampler.sample(torch.ones(1, 1, 4, 4), torch.tensor([[[0.0, 0.9]]]))
    assert read.item() == 0


def test_the_filter_comes_after():
    torch.manual_seed(0)
    sampler = TokenSampler(3, CropMap((4, 4), crop_size=64)).eval()
    x, places = torch.randn(2, 3, 4, 4), torch.rand(2, 5, 2) - 0.5
    first, norm, _, last = sampler.filter
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    read = sampler.sample(x, places).mT
    hidden = read @ first.weight[..., 0].T + first.bias
    hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    expected = hidden.relu() @ last.weight[..., 0].T + last.bias
    torch.testing.assert_close(sampler(x, places), expected)
    assert expected.shape == (2, 5, 3)


def test_no_gradient_goes_to_places():
    sampler = TokenSampler(3, CropMap((4, 4), crop_size=64)).eval()
    x = torch.randn(1, 3, 4, 4, requires_grad=True)
    places = torch.zeros(1, 5, 2, requires_grad=True)
    sampler(x, places).square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert places.grad is None


def test_half_precision_features_are_read_at_whole_places():
    sampler = TokenSampler(2, CropMap((16, 12)))
    places = torch.rand(1, 21, 2) * 0.5 - 0.25
    read = sampler.sample(coordinate_map(16, 12, 32).bfloat16(), places)
    assert read.dtype == torch.bfloat16
    torch.testing.assert_close(read.float().mT, places, atol=2e-3, rtol=0)
