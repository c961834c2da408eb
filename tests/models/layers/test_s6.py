"""S6 against the recurrence written out."""

import pytest
import torch
import torch.nn.functional as F

import mmssm.registry  # noqa: F401
from mmssm.models.layers import S6
from mmssm.ops import ScanPaths


def by_hand(layer, sources, paths):
    """Path by path, step by step, on permuted features."""
    total = 0
    for k, (row, source, reverse) in enumerate(paths.steps):
        order = paths.index[row].flip(0) if reverse else paths.index[row]
        x = sources[source][:, order]
        dt, B, C = (x @ layer.x_proj[k].T).split(
            [layer.dt_rank, layer.d_state, layer.d_state], dim=-1
        )
        delta = F.softplus(dt @ layer.dt_weight[k].T + layer.dt_bias[k])
        A = -layer.A_log[k].exp()
        state = torch.zeros(*x.shape[::2], layer.d_state, dtype=x.dtype)
        y = torch.zeros_like(x)
        for i, token in enumerate(order.tolist()):
            decay = torch.exp(delta[:, i, :, None] * A)
            drive = (delta[:, i] * x[:, i])[..., None] * B[:, i, None]
            state = decay * state + drive
            y[:, token] = (state * C[:, i, None]).sum(-1) + layer.D[k] * x[:, i]
        total = total + y
    return total


PATHS = [
    pytest.param([(0, 0, False)], id='one'),
    pytest.param([(1, 0, True), (0, 0, False), (1, 0, False)], id='one-source'),
    pytest.param([(0, 1, False), (1, 0, True), (0, 0, True)], id='two-sources'),
    pytest.param([(0, 2, False), (1, 0, True)], id='unread-source'),
]


@pytest.mark.parametrize('steps', PATHS)
def test_forward_is_the_recurrence(steps):
    torch.manual_seed(0)
    paths = ScanPaths(torch.tensor([[0, 1, 2, 3, 4], [3, 0, 4, 1, 2]]), steps)
    num_sources = 1 + max(source for _, source, _ in steps)
    sources = [torch.randn(2, 5, 6).double() for _ in range(num_sources)]
    layer = S6(6, len(steps), d_state=3, dt_rank=2).double()
    torch.testing.assert_close(
        layer(sources, paths), by_hand(layer, sources, paths), rtol=1e-10, atol=1e-10
    )


def test_every_weight_gets_a_gradient():
    torch.manual_seed(0)
    steps = [(0, 0, False), (0, 1, False), (0, 0, True), (0, 1, True)]
    paths = ScanPaths(torch.arange(5)[None], steps)
    layer = S6(6, 4, d_state=3, dt_rank=2)
    x = torch.randn(2, 5, 6)
    layer([x, 2 * x], paths).square().sum().backward()
    for name, parameter in layer.named_parameters():
        per_path = parameter.grad.flatten(1).norm(dim=1)
        assert (per_path > 0).all(), name


def test_initial_values_are_those_of_mamba():
    torch.manual_seed(0)
    layer = S6(64, 4, d_state=16, dt_rank=4)
    torch.testing.assert_close(
        layer.A_log.exp(), torch.arange(1.0, 17).expand(4, 64, 16)
    )
    assert (layer.D == 1).all()
    dt = F.softplus(layer.dt_bias.detach())
    assert dt.min() * (1 + 1e-5) >= 0.001 and dt.max() <= 0.1 * (1 + 1e-5)
    # Log-uniform: the middle of the range halves the sample.
    assert abs((dt < 0.01).float().mean() - 0.5) < 0.15
    assert layer.x_proj.abs().max() <= 64**-0.5
    assert layer.dt_weight.abs().max() <= 4**-0.5
    unmarked = {
        name
        for name, parameter in layer.named_parameters()
        if not getattr(parameter, '_no_weight_decay', False)
    }
    assert unmarked == {'x_proj', 'dt_weight'}


def test_wrong_number_of_paths_is_named():
    layer = S6(6, 4)
    paths = ScanPaths(torch.arange(5)[None], [(0, 0, False)])
    with pytest.raises(ValueError, match='weights of 4 paths, but was given 1'):
        layer([torch.randn(1, 5, 6)], paths)


def test_paths_may_be_left_out():
    torch.manual_seed(0)
    steps = [(0, 0, False), (1, 1, True), (0, 1, True), (1, 0, False)]
    index = torch.tensor([[0, 1, 2, 3, 4], [3, 0, 4, 1, 2]])
    whole = S6(6, 4, d_state=3, dt_rank=2).double()
    part = S6(6, 4, d_state=3, dt_rank=2, used=(2, 3)).double()
    part.load_state_dict(whole.state_dict())
    sources = [torch.randn(2, 5, 6).double() for _ in range(2)]
    y = whole(sources, ScanPaths(index, steps))
    rest = S6(6, 4, d_state=3, dt_rank=2, used=(0, 1)).double()
    rest.load_state_dict(whole.state_dict())
    halves = (
        part(sources, ScanPaths(index, steps[2:])),
        rest(sources, ScanPaths(index, steps[:2])),
    )
    torch.testing.assert_close(sum(halves), y)


def test_sources_that_no_path_reads_may_come_last():
    layer = S6(6, 2, d_state=3, dt_rank=2, used=(1,))
    paths = ScanPaths(torch.arange(5)[None], [(0, 0, True)])
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(layer([x, 2 * x], paths), layer([x], paths))


@pytest.mark.parametrize('used', [(), (0, 0), (0, 4), (-1,)])
def test_used_paths_must_exist(used):
    with pytest.raises(ValueError, match='from 0 to 3, got'):
        S6(6, 4, used=used)
