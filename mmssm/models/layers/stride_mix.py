"""SasMamba's strides over the joints."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn


class StrideMix(nn.Module):
    """SasMamba's scan inputs: features held at every second, third, ... joint.

    Held with stride ``s``, joint ``v`` shows joint ``s * (v // s)``. Nothing has
    parameters, so weights fit either mode.

    Args:
        num_joints: Number of joints ``J``.
        strides: The strides; 1 stands for the features themselves.
        mode: ``'sum'``, the authors' released code: the spatial paths read the
            sum over the strides, the temporal paths the features. ``'split'``,
            the paper's Eqs. 12 to 15: all paths read the channels in parts,
            each part held with one stride. The parts halve: one half, a
            quarter, and so on, the last as large as the one before it.
        grad: ``'full'`` for the exact gradient; ``'identity'`` leaves out the
            part through the held terms of the sum, as the authors' released
            training code does. The forward pass is the same.

    Raises:
        ValueError: On another mode or gradient, on strides that are not positive,
            or on ``'identity'`` with ``'split'``, of which there is no released
            code.

    Source:
        Cui et al., "SasMamba: A Lightweight Structure-Aware Stride State Space
        Model for 3D Human Pose Estimation".
    """

    held: Tensor

    def __init__(
        self,
        num_joints: int,
        strides: Sequence[int] = (1, 2, 3),
        mode: Literal['sum', 'split'] = 'sum',
        grad: Literal['full', 'identity'] = 'full',
    ) -> None:
        super().__init__()
        if mode not in ('sum', 'split'):
            raise ValueError(f"stride_mode must be 'sum' or 'split', got {mode!r}")
        if grad not in ('full', 'identity'):
            raise ValueError(f"stride_grad must be 'full' or 'identity', got {grad!r}")
        if mode == 'split' and grad == 'identity':
            raise ValueError(
                "stride_grad='identity' is the gradient of the released code, which "
                "has stride_mode='sum' only; with 'split' use stride_grad='full'"
            )
        if not strides or any(stride < 1 for stride in strides):
            raise ValueError(f'strides must be positive integers, got {strides}')
        self.strides = tuple(strides)
        self.mode = mode
        self.grad = grad
        joints = torch.arange(num_joints)
        held = torch.stack([joints // stride * stride for stride in strides])
        self.register_buffer('held', held, persistent=False)

    @property
    def sources(self) -> tuple[int, int]:
        """Which source the spatial and which the temporal paths read."""
        return (0, 1) if self.mode == 'sum' else (0, 0)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Makes the inputs of the paths from features ``(N, T, J, E)``."""
        if self.mode == 'sum':
            return self._sum(x), x
        parts = x.split(_halving(x.shape[-1], len(self.strides)), dim=-1)
        pairs = zip(parts, self.held, strict=True)
        return (torch.cat([part.index_select(2, held) for part, held in pairs], -1),)

    def _sum(self, x: Tensor) -> Tensor:
        others = x.detach() if self.grad == 'identity' else x
        terms = [
            x if stride == 1 else others.index_select(2, held)
            for stride, held in zip(self.strides, self.held, strict=True)
        ]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def extra_repr(self) -> str:
        """Shows the choices in ``print(model)``."""
        return f'strides={self.strides}, mode={self.mode!r}, grad={self.grad!r}'


def _halving(size: int, count: int) -> list[int]:
    """Parts of a half, a quarter, ...; the last takes what is left."""
    parts = []
    for _ in range(count - 1):
        parts.append(size // 2)
        size -= size // 2
    return [*parts, size]
