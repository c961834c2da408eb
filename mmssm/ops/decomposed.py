"""The ops in terms that exporters know, but for one recurrence.

What `torch.export` records of a model under ``mmssm.ops.backend('decomposed')`` is
made of PyTorch's own operators and of two of ours, ``mmssm::scan_steps`` and
``mmssm::scan_last``: the recurrence itself, for all paths and stretches side by
side. A translator has these two to write (`mmssm.apis.export`: one ONNX ``Scan``
each). In eager PyTorch they are a loop, so this backend runs too, slowly.

A log-depth form without a loop exists; it computes on the states of all steps at
once, which are ``d_state`` times the features, and took 25 times as long in
onnxruntime (459 tokens, 4 paths, 128 channels, 16 states). The states of one step
stay in the cache.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ._checks import state_dtype
from .scan_paths import ScanPaths


@torch.library.custom_op('mmssm::scan_steps', mutates_args=())
def scan_steps(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor, C: Tensor
) -> Tensor:
    """Runs ``h <- exp(delta A) h + delta_x B`` and gives ``C h`` of every step.

    Args:
        state: First states ``(N, S, K, d_state, E)`` of ``S`` stretches.
        A: ``(K, d_state, E)``.
        delta: Step sizes ``(steps, N, S, K, 1, E)``.
        delta_x: Step sizes times inputs, of the same shape.
        B: ``(steps, N, S, K, d_state, 1)``, or with ``E`` as the last.
        C: ``(steps, N, S, K, 1, d_state)``.

    Returns:
        ``(steps, N, S, K, 1, E)``.
    """
    outputs = []
    for delta_t, delta_x_t, B_t, C_t in zip(delta, delta_x, B, C, strict=True):
        state = torch.exp(delta_t * A) * state + delta_x_t * B_t
        outputs.append(C_t @ state)
    return torch.stack(outputs) if outputs else torch.empty_like(delta)


@scan_steps.register_fake
def _(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor, C: Tensor
) -> Tensor:
    return delta_x.new_empty(delta_x.shape)


@torch.library.custom_op('mmssm::scan_last', mutates_args=())
def scan_last(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor
) -> Tensor:
    """The last states of `scan_steps`, ``(N, S, K, d_state, E)``."""
    for delta_t, delta_x_t, B_t in zip(delta, delta_x, B, strict=True):
        state = torch.exp(delta_t * A) * state + delta_x_t * B_t
    return state.clone()


@scan_last.register_fake
def _(state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor) -> Tensor:
    return state.new_empty(state.shape)


def path_scan(
    x: Sequence[Tensor],
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    dt_bias: Tensor | None,
    dt_weight: Tensor | None,
    initial_state: Tensor | None,
    paths: ScanPaths,
    return_last_state: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Computes `mmssm.ops.path_scan`.

    Returns:
        The output ``(N, L, E)`` and, if asked for, the last states ``(N, K, E,
        d_state)`` or, with segments, ``(N, K, segments, E, d_state)``, both in the
        dtype of the state.
    """
    dtype = state_dtype(x[0].dtype)
    wide = [source.to(dtype) for source in x]
    tensors = (
        None if t is None else t.to(dtype)
        for t in (dt, A, B, C, D, dt_bias, dt_weight, initial_state)
    )
    return _scan_paths(wide, wide, *tensors, paths, return_last_state)


def deform_scan(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    rows: int,
    columns: int,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    dt_bias: Tensor | None,
    dt_weight: Tensor | None,
    paths: ScanPaths,
) -> Tensor:
    """Computes `mmssm.ops.deform_scan`, in the dtype of the state."""
    dtype = state_dtype(x.dtype)
    x = x.to(dtype)
    u = deform_sample(x, offset, weight, anchors, rows, columns)
    tensors = (
        None if t is None else t.to(dtype) for t in (dt, A, B, C, D, dt_bias, dt_weight)
    )
    return _scan_paths([x], [u], *tensors, None, paths, False)[0]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    return_last_state: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Computes `mmssm.ops.selective_scan`, before the gate ``z``.

    Returns:
        The output ``(N, E, L)`` and, if asked for, the last state ``(N, E,
        d_state)``, both in the dtype of the state.
    """
    dtype = state_dtype(u.dtype)
    N, E, L = u.shape
    B, C = _by_group(B.to(dtype), C.to(dtype), N, E, L)
    grouped = (B.shape[1], E // B.shape[1])
    u, delta, A = u.to(dtype), delta.to(dtype), A.to(dtype)
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    if initial_state is None:
        state = u.new_zeros(N, 1, grouped[0], A.shape[1], grouped[1])
    else:
        state = initial_state.to(dtype).unflatten(1, grouped).mT[:, None]

    def of_channels(t: Tensor) -> Tensor:
        # (N, E, L) to (L, N, 1, K, 1, E / K)
        return t.unflatten(1, grouped).permute(3, 0, 1, 2)[:, :, None, :, None]

    B, C = (t.permute(3, 0, 1, 2)[:, :, None, :, None] for t in (B, C))
    arguments = (
        state, A.unflatten(0, grouped).mT, of_channels(delta), of_channels(delta * u),
        B.mT,
    )  # fmt: skip
    y = scan_steps(*arguments, C).reshape(L, N, E).permute(1, 2, 0)
    if D is not None:
        y = y + D.to(dtype)[:, None] * u
    last_state = scan_last(*arguments) if return_last_state else None
    return y, None if last_state is None else last_state[:, 0].mT.flatten(1, 2)


def deform_sample(
    x: Tensor, offset: Tensor, weight: Tensor, anchors: Tensor, rows: int, columns: int
) -> Tensor:
    """Computes `mmssm.ops.deform_sample`, for arguments of one dtype.

    Tokens are gathered whole, four for each anchor. ``grid_sample`` would take as
    long and its places, between -1 and 1, have fewer digits: errors of 1e-4 in a
    map of 243 rows. Unlike `mmssm.ops.reference.deform_sample`, it multiplies what
    has no share in a sample by zero, so infinite features spread to neighbours.

    Returns:
        The sums of the samples, ``(N, L, E)``.
    """
    N, L, E = x.shape
    G, M = offset.shape[2:4]
    by_token = weight.dim() == 4
    of_group = x.reshape(N * L * G, E // G)
    group = torch.arange(G, device=x.device)
    image = torch.arange(N, device=x.device)[:, None, None] * L
    token = torch.arange(L, device=x.device)
    row = (token // max(columns, 1))[:, None] + anchors[:, 0, None, None]
    column = (token % max(columns, 1))[:, None] + anchors[:, 1, None, None]
    y = x.new_zeros(N, L, G, E // G)
    for m in range(M):
        value = x.new_zeros(())
        corners = _corners(
            row[m] + offset[..., m, 0], column[m] + offset[..., m, 1], rows, columns
        )
        for place, share in corners:
            index = (image + place) * G + group
            corner = of_group.index_select(0, index.flatten()).view(N, L, G, E // G)
            if by_token:
                share = share * weight[..., m]
            value = value + share.unsqueeze(-1) * corner
        if not by_token:
            value = value * weight[:, m].unflatten(0, (G, E // G))
        y = y + value
    return y.flatten(2)


def _corners(
    row: Tensor, column: Tensor, rows: int, columns: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The four tokens about places, and their shares; ``(N, L, G)`` each."""
    is_nan = row.isnan() | column.isnan()
    top, left = row.floor(), column.floor()
    down, right = row - top, column - left
    for at_row, of_row in ((top, 1 - down), (top + 1, down)):
        for at_column, of_column in ((left, 1 - right), (left + 1, right)):
            exists = (at_row >= 0) & (at_row < rows)
            exists = exists & (at_column >= 0) & (at_column < columns)
            place = torch.where(exists, at_row * columns + at_column, 0.0).long()
            yield place, torch.where(exists | is_nan, of_row * of_column, 0.0)


def _scan_paths(
    x: Sequence[Tensor],
    u: Sequence[Tensor],
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    dt_bias: Tensor | None,
    dt_weight: Tensor | None,
    initial_state: Tensor | None,
    paths: ScanPaths,
    return_last_state: bool,
) -> tuple[Tensor, Tensor | None]:
    """A path scan whose skip reads ``x`` and whose states read ``u``."""
    N, L, E = x[0].shape
    delta = dt if dt_weight is None else dt @ dt_weight.mT
    if dt_bias is not None:
        delta = delta + dt_bias.unsqueeze(1)
    visits = _Visits(paths, x[0].device)
    delta = visits.order(F.softplus(delta).flatten(1, 2), visits.of_path)
    if visits.is_real is not None:
        # A step of no length leaves the state as it is.
        delta = delta * visits.is_real
    delta_u = delta * visits.order(torch.cat(list(u), 1), visits.of_source)
    K, S = paths.num_paths, paths.num_segments
    if initial_state is None:
        state = u[0].new_zeros(N, S, K, A.shape[2], E)
    else:
        state = initial_state.view(N, K, S, E, A.shape[2]).permute(0, 2, 1, 4, 3)
    arguments = (
        state,
        A.mT,
        delta.unsqueeze(-2),
        delta_u.unsqueeze(-2),
        visits.order(B.flatten(1, 2), visits.of_path).unsqueeze(-1),
    )
    C = visits.order(C.flatten(1, 2), visits.of_path).unsqueeze(-2)
    y = visits.to_tokens(scan_steps(*arguments, C).squeeze(-2))
    if D is not None:
        for source, tokens in enumerate(x):
            readers = [k for k, step in enumerate(paths.steps) if step[1] == source]
            y = y + D[readers].sum(0) * tokens
    if not return_last_state:
        return y, None
    last_state = scan_last(*arguments).permute(0, 2, 1, 4, 3)
    return y, last_state.squeeze(2) if paths.segment is None else last_state


class _Visits:
    """Where each step of some paths finds its token.

    Steps are laid out as ``(steps of a segment, segment, path)``.

    Attributes:
        of_path: Place among the tokens of all paths, ``(K L)``, of each step.
        of_source: The same among the tokens of all sources.
        is_real: ``(steps, 1, segments, 1, 1)``, 0 for steps behind the end of the
            last segment; None if there are none.
    """

    def __init__(self, paths: ScanPaths, device: torch.device) -> None:
        L, K, S = paths.num_tokens, paths.num_paths, paths.num_segments
        steps = min(paths.segment or L, L)
        self.shape = steps, S, K
        self.paths = paths
        self.length = L
        orders = [
            paths.index[row].flip(0) if reverse else paths.index[row]
            for row, _, reverse in paths.steps
        ]
        order = torch.stack(orders)
        path = torch.arange(K, device=device)[:, None]
        source = torch.tensor([step[1] for step in paths.steps], device=device)
        self.of_path = self._lay_out(order + L * path)
        self.of_source = self._lay_out(order + L * source[:, None])
        step = order.argsort(1)
        self.of_token = ((step % max(steps, 1)) * S + step // max(steps, 1)) * K + path
        self.is_real: Tensor | None = None
        if steps * S > L:
            step = torch.arange(steps * S, device=device).view(S, steps).mT
            self.is_real = (step < L)[:, None, :, None, None]

    def _lay_out(self, places: Tensor) -> Tensor:
        """``(K, L)`` in the layout of the steps, flat."""
        steps, S, _ = self.shape
        places = F.pad(places, (0, steps * S - self.length))
        return places.unflatten(1, (S, steps)).permute(2, 1, 0).flatten()

    def order(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Tokens ``(N, ..., X)`` at some places: ``(steps, N, segments, K, X)``."""
        return tokens.index_select(1, places).unflatten(1, self.shape).movedim(1, 0)

    def to_tokens(self, y: Tensor) -> Tensor:
        """``(steps, N, segments, K, E)`` summed over paths: ``(N, L, E)``."""
        flat = y.movedim(0, 1).flatten(1, 3)
        flat = flat.index_select(1, self.of_token.flatten())
        return flat.unflatten(1, (self.shape[2], self.length)).sum(1)


def _by_group(B: Tensor, C: Tensor, N: int, E: int, L: int) -> tuple[Tensor, Tensor]:
    """Weights of a selective scan as ``(N, K, d_state, L)`` of ``K`` groups."""
    if B.dim() > 2 and C.dim() > 2:
        return (B, C) if B.dim() == 4 else (B.unsqueeze(1), C.unsqueeze(1))
    # What is constant is each channel's own: groups of one channel.
    return _by_channel(B, N, E, L), _by_channel(C, N, E, L)


def _by_channel(weights: Tensor, N: int, E: int, L: int) -> Tensor:
    if weights.dim() == 2:
        return weights[None, :, :, None].expand(N, -1, -1, L)
    if weights.dim() == 3:
        weights = weights.unsqueeze(1)
    return weights.repeat_interleave(E // weights.shape[1], 1)
