"""The scans in plain PyTorch, in the forms that people use.

The functions take what `mmssm.ops.selective_scan` takes, with ``B`` and ``C`` as
``(N, G, d_state, L)``, softplus, bias and ``D``, and return the output ``(N, E, L)``.
"""

import importlib
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmssm.ops import ScanPaths

CHUNK = 32
"""Steps that the chunked forms take at once: in the cache, without overflow."""

Peer = Callable[..., Tensor]


def reference_loop(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
) -> Tensor:
    """The way mamba-ssm's reference goes: everything for all steps, then a loop.

    Decays and inputs of all steps are ``(N, E, L, d_state)``. The gradient of every
    ``[:, :, t]`` is such a tensor again, so that the backward takes time quadratic
    in L.
    """
    delta = F.softplus(delta + delta_bias[:, None])
    repeats = u.shape[1] // B.shape[1]
    B, C = (t.repeat_interleave(repeats, dim=1) for t in (B, C))
    decay = torch.exp(torch.einsum('nel,ed->neld', delta, A))
    inputs = torch.einsum('nel,nedl,nel->neld', delta, B, u)
    state = torch.zeros_like(decay[:, :, 0])
    outputs = []
    for t in range(u.shape[2]):
        state = decay[:, :, t] * state + inputs[:, :, t]
        outputs.append(torch.einsum('ned,ned->ne', state, C[..., t]))
    return torch.stack(outputs, dim=2) + D[:, None] * u


def lean_loop(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
) -> Tensor:
    """The leanest loop: one state, time first, unbind and stack, fused additions.

    With one state per channel, all that is left in the loop is the recurrence.
    """
    N, E, L = u.shape
    G, d_state = B.shape[1:3]
    delta = F.softplus(delta + delta_bias[:, None])
    steps, inputs = (
        t.permute(2, 0, 1).reshape(L, N, G, E // G, 1) for t in (delta, delta * u)
    )
    B, C = (t.permute(3, 0, 1, 2).reshape(L, N, G, 1, d_state) for t in (B, C))
    A = A.view(G, E // G, d_state)
    recur = _recur_hoisted if d_state == 1 else _recur
    y = recur(steps, inputs, A, B, C)
    return y.reshape(L, N, E).permute(1, 2, 0) + D[:, None] * u


def _recur(steps: Tensor, inputs: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    state = torch.zeros_like(inputs[0] * B[0])
    outputs = []
    for step, value, b, c in zip(
        steps.unbind(), inputs.unbind(), B.unbind(), C.unbind(), strict=True
    ):
        state = torch.addcmul(value * b, torch.exp(step * A), state)
        outputs.append((state * c).sum(-1))
    return torch.stack(outputs)


def _recur_hoisted(
    steps: Tensor, inputs: Tensor, A: Tensor, B: Tensor, C: Tensor
) -> Tensor:
    steps, inputs, A, B, C = (t.squeeze(-1) for t in (steps, inputs, A, B, C))
    state = torch.zeros_like(inputs[0])
    outputs = []
    # In chunks that stay in the cache.
    for step, value, b, c in zip(
        *(t.split(CHUNK) for t in (steps, inputs, B, C)), strict=True
    ):
        decays, values = torch.exp(step * A), value * b
        states = []
        for decay_t, value_t in zip(decays.unbind(), values.unbind(), strict=True):
            state = torch.addcmul(value_t, decay_t, state)
            states.append(state)
        outputs.append(torch.stack(states) * c)
    return torch.cat(outputs)


def chunked_cumulative(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
) -> Tensor:
    """Cumulative sums within chunks, a loop over chunks only.

    Within a chunk the state is ``exp(s_t) (h + sum exp(-s_i) delta_i B_i u_i)`` with
    ``s`` the cumulative sum of ``delta A``. It overflows where ``-s`` passes 88
    (float32), which large steps do.
    """
    N, E, L = u.shape
    G, d_state = B.shape[1:3]
    delta = F.softplus(delta + delta_bias[:, None])
    steps, inputs = (
        t.permute(2, 0, 1).reshape(L, N, G, E // G, 1) for t in (delta, delta * u)
    )
    B, C = (t.permute(3, 0, 1, 2).unsqueeze(3) for t in (B, C))
    A = A.view(G, E // G, d_state)
    state = u.new_zeros(N, G, E // G, d_state)
    outputs = []
    for step, value, b, c in zip(
        *(t.split(CHUNK) for t in (steps, inputs, B, C)), strict=True
    ):
        total = (step * A).cumsum(0)
        states = total.exp() * (state + (torch.exp(-total) * (value * b)).cumsum(0))
        outputs.append((states * c).sum(-1))
        state = states[-1]
    return torch.cat(outputs).reshape(L, N, E).permute(1, 2, 0) + D[:, None] * u


PEERS: dict[str, Peer] = {
    'lean loop': lean_loop,
    'chunked': chunked_cumulative,
    'reference loop': reference_loop,
}


MAMBA = 'mamba-ssm'


def find_mamba() -> Peer | str:
    """Returns the scan of mamba-ssm's kernel, or why there is none.

    docs/gpu.md says how the package is built.
    """
    try:
        module = importlib.import_module('mamba_ssm.ops.selective_scan_interface')
    except ImportError as error:
        return f'not installed ({error})'

    def mamba(
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        delta_bias: Tensor,
    ) -> Tensor:
        return module.selective_scan_fn(
            u, delta, A, B, C, D, delta_bias=delta_bias, delta_softplus=True
        )

    return mamba


def grid_paths(rows: int, columns: int) -> ScanPaths:
    """The paths that `CopiedPaths` walks, for `mmssm.ops.path_scan`."""
    grid = torch.arange(rows * columns).view(rows, columns)
    steps = ((0, 0, False), (1, 1, False), (0, 0, True), (1, 1, True))
    return ScanPaths(torch.stack([grid.flatten(), grid.t().flatten()]), steps)


class CopiedPaths:
    """`mmssm.ops.path_scan` over a grid, the way VMamba goes: permute, scan, merge.

    All that the four paths of `mmssm.models.layers.cross_paths` read is copied into
    the order of the steps, the step sizes of all channels are made, a selective scan
    of four groups runs, and its output is turned back and summed.

    Args:
        scan: The selective scan, one of this module or any with its arguments.
        rows: Rows of the grid.
        columns: Columns of the grid.
    """

    def __init__(self, scan: Peer, rows: int, columns: int) -> None:
        self.scan = scan
        self.rows = rows
        self.columns = columns

    def __call__(
        self,
        x: Sequence[Tensor],
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        dt_bias: Tensor,
        paths: ScanPaths,
        *,
        dt_weight: Tensor,
        initial_state: None = None,
        return_last_state: bool = False,
    ) -> Tensor:
        """Takes and returns what `mmssm.ops.path_scan` does, but for states."""
        if initial_state is not None or return_last_state:
            raise NotImplementedError('the released pipeline hands no states on')
        sources = [x[source] for _, source, _ in paths.steps]
        steps, B, C = (self._along(t.unbind(1)) for t in (dt, B, C))
        delta = torch.einsum('nkrl,ker->nkel', steps, dt_weight)
        y = self.scan(
            self._along(sources).flatten(1, 2),
            delta.flatten(1, 2),
            A.flatten(0, 1),
            B,
            C,
            D=D.flatten(),
            delta_bias=dt_bias.flatten(),
        )
        return self._merge(y.unflatten(1, D.shape))

    def _along(self, tokens: Sequence[Tensor]) -> Tensor:
        """Four times ``(N, L, F)``, one for each path, to ``(N, 4, F, L)``."""
        by_row, by_column, back_by_row, back_by_column = tokens
        return torch.stack(
            [
                by_row.mT,
                self._turn(by_column, self.rows, self.columns).mT,
                back_by_row.mT.flip(-1),
                self._turn(back_by_column, self.rows, self.columns).mT.flip(-1),
            ],
            dim=1,
        )

    def _merge(self, y: Tensor) -> Tensor:
        """``(N, 4, E, L)``, along the paths, to the sum ``(N, L, E)`` by token."""
        by_row, by_column = (y[:, :2] + y[:, 2:].flip(-1)).unbind(1)
        return by_row.mT + self._turn(by_column.mT, self.columns, self.rows)

    def project_and_scan(
        self,
        x: Sequence[Tensor],
        x_proj: Tensor,
        dt_weight: Tensor,
        A: Tensor,
        D: Tensor,
        dt_bias: Tensor,
    ) -> Tensor:
        """A whole layer the way VMamba goes: the copies are projected, then scanned.

        Args:
            x: Tokens ``(N, L, E)`` of the paths by row and of those by column.
            x_proj: ``(4, R + 2 d_state, E)``.
            dt_weight: ``(4, E, R)``.
            A: ``(4, E, d_state)``.
            D: ``(4, E)``.
            dt_bias: ``(4, E)``.

        Returns:
            ``(N, L, E)``.
        """
        by_row, by_column = x
        u = self._along([by_row, by_column, by_row, by_column])
        R, d_state = dt_weight.shape[-1], A.shape[-1]
        projected = torch.einsum('nkel,kre->nkrl', u, x_proj)
        dt, B, C = projected.split([R, d_state, d_state], 2)
        delta = torch.einsum('nkrl,ker->nkel', dt, dt_weight)
        y = self.scan(
            u.flatten(1, 2),
            delta.flatten(1, 2),
            A.flatten(0, 1),
            B.contiguous(),
            C.contiguous(),
            D=D.flatten(),
            delta_bias=dt_bias.flatten(),
        )
        return self._merge(y.unflatten(1, D.shape))

    @staticmethod
    def _turn(tokens: Tensor, rows: int, columns: int) -> Tensor:
        """``(N, rows * columns, F)`` row by row, to column by column."""
        return tokens.unflatten(1, (rows, columns)).transpose(1, 2).flatten(1, 2)
