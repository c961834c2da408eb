"""Graph convolution with weights for each node and each edge."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NodeGraphConv(nn.Module):
    """Semantic graph convolution whose every node has matrices of its own.

    ``y_i = x_i U_i + sum_j a_ij x_j V_j + b`` over the neighbours ``j`` of node
    ``i``; ``a_i`` is a softmax over them of one logit for each directed edge. The
    logits are 1 at the start, which makes the mean of the neighbours.

    The authors' code passes each node itself through such a softmax as well. Over
    its one element that is always 1, so that its logit does nothing: ``own_logits``
    are here for the sizes of the paper and for its weights, and are frozen.

    Args:
        channels: Number of channels ``C``, in and out.
        num_nodes: Number of nodes ``J``.
        bones: Pairs of neighbouring nodes; every node needs a neighbour.

    Raises:
        ValueError: If a bone names a node that there is not, or a node has no
            bone.

    Source:
        Zhao et al., "Semantic Graph Convolutional Networks for 3D Human Pose
        Regression" (CVPR 2019); matrices for each node as in Hamba.
    """

    target: Tensor
    source: Tensor

    def __init__(
        self, channels: int, num_nodes: int, bones: Sequence[tuple[int, int]]
    ) -> None:
        super().__init__()
        pairs = {pair for a, b in bones for pair in ((a, b), (b, a))}
        edges = sorted(pairs)
        nodes = {node for edge in edges for node in edge}
        if nodes != set(range(num_nodes)) or any(a == b for a, b in edges):
            raise ValueError(
                f'bones must join each of the nodes 0 to {num_nodes - 1} to another, '
                f'got {[tuple(bone) for bone in bones]}'
            )
        self.weight = nn.Parameter(torch.empty(2, num_nodes, channels, channels))
        self.edge_logits = nn.Parameter(torch.empty(len(edges)))
        self.own_logits = nn.Parameter(torch.empty(num_nodes), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(channels))
        target, source = torch.tensor(edges).T
        self.register_buffer('target', target, persistent=False)
        self.register_buffer('source', source, persistent=False)
        self.reset_parameters()

    @property
    def num_nodes(self) -> int:
        """Number of nodes ``J``."""
        return self.weight.shape[1]

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws the initial values anew: Xavier's with a gain of 1.414."""
        # Of each node's matrix, not of the whole: a node is a layer of its own.
        for matrix in self.weight.flatten(0, 1):
            nn.init.xavier_uniform_(matrix, gain=1.414)
        self.edge_logits.fill_(1.0)
        self.own_logits.fill_(1.0)
        bound = self.num_nodes**-0.5
        self.bias.uniform_(-bound, bound)

    def adjacency(self) -> Tensor:
        """Weights ``(J, J)`` of each node's neighbours; rows sum to 1."""
        logits = self.edge_logits.new_full((self.num_nodes,) * 2, float('-inf'))
        logits = logits.index_put((self.target, self.source), self.edge_logits)
        return logits.softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolves features ``(N, J, C)`` to the same shape."""
        own, others = torch.matmul(x.transpose(0, 1), self.weight)
        mixed = torch.matmul(self.adjacency().to(others.dtype), others.flatten(1))
        y = own + mixed.view_as(others) + self.bias
        return y.transpose(0, 1)

    def extra_repr(self) -> str:
        """Shows the sizes in ``print(model)``."""
        _, nodes, channels, _ = self.weight.shape
        return f'channels={channels}, num_nodes={nodes}, edges={len(self.edge_logits)}'
