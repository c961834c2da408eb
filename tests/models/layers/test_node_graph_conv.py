"""The graph convolution with weights of each node."""

import math

import pytest
import torch

import mmssm.registry  # noqa: F401
from mmssm.models.layers import NodeGraphConv
from mmssm.structures.hand import NUM_JOINTS, SKELETON

CHAIN = [(0, 1), (2, 1)]


def test_written_out():
    torch.manual_seed(0)
    layer = NodeGraphConv(4, NUM_JOINTS, SKELETON).double()
    logits = torch.randn(len(layer.edge_logits), dtype=torch.float64)
    layer.edge_logits.data.copy_(logits)
    x = torch.randn(3, NUM_JOINTS, 4, dtype=torch.float64)
    # Directed edges, node by node and neighbour by neighbour.
    edges = sorted({e for a, b in SKELETON for e in ((a, b), (b, a))})
    assert len(edges) == 40
    expected = torch.zeros_like(x)
    for n in range(3):
        for i in range(NUM_JOINTS):
            y = x[n, i] @ layer.weight[0, i] + layer.bias
            scores = {
                j: math.exp(logits[k]) for k, (a, j) in enumerate(edges) if a == i
            }
            for j, score in scores.items():
                share = score / sum(scores.values())
                y = y + share * (x[n, j] @ layer.weight[1, j])
            expected[n, i] = y
    torch.testing.assert_close(layer(x), expected)


def test_it_begins_with_the_mean_of_the_neighbours():
    adjacency = NodeGraphConv(2, 3, CHAIN).adjacency()
    torch.testing.assert_close(
        adjacency, torch.tensor([[0.0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    )


def test_gradients():
    torch.manual_seed(0)
    layer = NodeGraphConv(2, 3, CHAIN).double()
    names = ['weight', 'edge_logits', 'bias']
    values = [getattr(layer, name).detach().requires_grad_() for name in names]
    layer.edge_logits.data.normal_()

    def run(x, *values):
        return torch.func.functional_call(
            layer, dict(zip(names, values, strict=True)), x
        )

    x = torch.randn(2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (x, *values))


def test_a_nodes_own_logit_is_frozen():
    layer = NodeGraphConv(2, 3, CHAIN)
    layer(torch.randn(1, 3, 2)).sum().backward()
    dead = [name for name, p in layer.named_parameters() if p.grad is None]
    assert dead == ['own_logits']
    assert not layer.own_logits.requires_grad


def test_each_matrix_has_xaviers_deviation():
    torch.manual_seed(0)
    weight = NodeGraphConv(128, 3, CHAIN).weight
    bound = 1.414 * math.sqrt(6 / (128 + 128))
    for matrix in weight.flatten(0, 1):
        assert bound * 0.98 < matrix.abs().max() <= bound


@pytest.mark.parametrize('bones', [[(0, 1)], [(0, 1), (1, 3)], [(0, 1), (2, 2)]])
def test_every_node_needs_a_bone(bones):
    with pytest.raises(ValueError, match='bones must join each of the nodes 0 to 2'):
        NodeGraphConv(2, 3, bones)
