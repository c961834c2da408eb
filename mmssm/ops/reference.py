"""The ops in plain PyTorch: their definition, and what runs without kernels.

A scan is a recurrence over time, so it is a loop over time here. It keeps one
state, not the states of all steps, and under autograd it recomputes stretches
of `CHUNK` steps, so that memory and time of the backward grow linearly in the
length.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ._checks import state_dtype
from .scan_paths import ScanPaths

CHUNK = 64


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
) -> tuple[Tensor, Tensor]:
    """Defines `mmssm.ops.selective_scan`, before the gate ``z``.

    Returns:
        The output ``(N, E, L)`` and the last state ``(N, E, d_state)``, both in
        the dtype of the state.
    """
    dtype = state_dtype(u.dtype)
    batch, channels, _ = u.shape
    groups = max(t.shape[1] if t.dim() == 4 else 1 for t in (B, C))
    grouped = (groups, channels // groups)

    u, delta, A = u.to(dtype), delta.to(dtype), A.to(dtype)
    if delta_bias is not None:
        delta = delta + delta_bias.to(dtype)[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    state = (
        u.new_zeros(batch, channels, A.shape[1])
        if initial_state is None
        else initial_state.to(dtype)
    )
    y, state = _recur(
        state.unflatten(1, grouped),
        A.unflatten(0, grouped),
        _time_first(delta).unflatten(2, grouped),
        _time_first(delta * u).unflatten(2, grouped),
        _time_first_states(B.to(dtype), grouped, u.shape[2]),
        _time_first_states(C.to(dtype), grouped, u.shape[2]),
    )
    y = y.flatten(2).permute(1, 2, 0)
    if D is not None:
        y = y + D.to(dtype)[:, None] * u
    return y, state.flatten(1, 2)


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
) -> tuple[Tensor, Tensor]:
    """Defines `mmssm.ops.path_scan`.

    Returns:
        The output ``(N, L, E)`` and the last states ``(N, K, E, d_state)`` or,
        with segments, ``(N, K, segments, E, d_state)``, both in the dtype of
        the state.
    """
    tensors = dt, A, B, C, D, dt_bias, dt_weight, initial_state
    return _scan_paths(x, x, *tensors, paths)


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
    """Defines `mmssm.ops.deform_scan`.

    Returns:
        The output ``(N, L, E)`` in the dtype of the state.
    """
    wide = x.to(offset.dtype)
    u = deform_sample(wide, offset, weight, anchors, rows, columns)
    tensors = dt, A, B, C, D, dt_bias, dt_weight, None
    return _scan_paths([wide], [u], *tensors, paths)[0]


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
) -> tuple[Tensor, Tensor]:
    """A path scan whose skip reads ``x`` and whose states read ``u``."""
    dtype = state_dtype(x[0].dtype)
    orders = [
        paths.index[row].flip(0) if reverse else paths.index[row]
        for row, _, reverse in paths.steps
    ]

    delta = dt.to(dtype)
    if dt_weight is not None:
        delta = _project(delta, dt_weight.to(dtype))
    if dt_bias is not None:
        delta = delta + dt_bias.to(dtype)[:, None]
    delta = F.softplus(delta)

    u_steps = _along_paths(u, paths, orders).to(dtype)
    delta, B, C = (_reorder(t.to(dtype), orders) for t in (delta, B, C))
    states = _first_states(initial_state, paths, A, u_steps)
    outputs, last = [], []
    for start, state in zip(_segment_starts(paths), states, strict=True):
        now = slice(start, start + (paths.segment or paths.num_tokens))
        delta_now = delta[:, :, now].movedim(2, 0)
        y, state = _recur(
            state,
            A.to(dtype),
            delta_now,
            delta_now * u_steps[:, :, now].movedim(2, 0),
            B[:, :, now].movedim(2, 0).unsqueeze(3),
            C[:, :, now].movedim(2, 0).unsqueeze(3),
        )
        outputs.append(y)
        last.append(state)
    y = torch.cat(outputs).movedim(0, 2)
    if D is not None:
        y = y + D.to(dtype)[:, None] * _along_paths(x, paths, orders).to(dtype)

    total = torch.zeros_like(y[:, 0])
    for k, order in enumerate(orders):
        total = total + torch.zeros_like(total).index_copy(1, order, y[:, k])
    last_state = last[0] if paths.segment is None else torch.stack(last, dim=2)
    return total, last_state


def deform_sample(
    x: Tensor, offset: Tensor, weight: Tensor, anchors: Tensor, rows: int, columns: int
) -> Tensor:
    """Defines `mmssm.ops.deform_sample`, for arguments of one dtype.

    Returns:
        The sums of the samples, ``(N, L, E)``.
    """
    L, E = x.shape[1:]
    G, M = offset.shape[2:4]
    x = x.unflatten(2, (G, E // G))
    by_token = weight.dim() == 4
    token = torch.arange(L, device=x.device)
    row, column = token // max(columns, 1), token % max(columns, 1)
    y = torch.zeros_like(x)
    for m in range(M):
        # (N, L, G), added in the order of the kernels
        at_row = row[:, None] + anchors[m, 0] + offset[..., m, 0]
        at_column = column[:, None] + anchors[m, 1] + offset[..., m, 1]
        value = _bilinear(x, at_row, at_column, rows, columns)
        if by_token:
            y = y + weight[..., m, None] * value
        else:
            y = y + weight[:, m].unflatten(0, (G, E // G)) * value
    return y.flatten(2)


def _bilinear(
    x: Tensor, row: Tensor, column: Tensor, rows: int, columns: int
) -> Tensor:
    """Samples ``(N, HW, G, C)`` at places ``(N, L, G)``: ``(N, L, G, C)``."""
    is_inside = (row >= -1) & (row < rows) & (column >= -1) & (column < columns)
    is_nan = row.isnan() | column.isnan()
    # Places far outside would overflow an index.
    safe_row = torch.where(is_inside, row, 0.0)
    safe_column = torch.where(is_inside, column, 0.0)
    top, left = safe_row.detach().floor(), safe_column.detach().floor()
    down, right = safe_row - top, safe_column - left
    # A place that is NaN makes the value NaN, and its own gradient.
    poison = torch.where(is_nan, torch.nan, 0.0) * torch.where(
        is_nan, row + column, 0.0
    )
    value = poison.unsqueeze(-1).expand(*row.shape, x.shape[3])
    for dy, of_row in ((0, 1 - down), (1, down)):
        for dx, of_column in ((0, 1 - right), (1, right)):
            at_row, at_column = top.long() + dy, left.long() + dx
            exists = is_inside & (at_row >= 0) & (at_row < rows)
            exists = exists & (at_column >= 0) & (at_column < columns)
            index = torch.where(exists, at_row * columns + at_column, 0)
            corner = x.gather(1, index.unsqueeze(-1).expand(value.shape))
            share = (of_row * of_column).unsqueeze(-1)
            is_read = exists.unsqueeze(-1) & ((share != 0) | corner.isfinite())
            value = value + share * torch.where(is_read, corner, 0.0)
    return value


def _project(dt: Tensor, weight: Tensor) -> Tensor:
    """``(N, K, L, R)`` by ``(K, E, R)`` to ``(N, K, L, E)``, in their own dtype."""
    device = dt.device.type
    if device == 'meta' or not torch.is_autocast_enabled(device):
        return torch.einsum('nklr,ker->nkle', dt, weight)
    # Autocast would make this one product in half precision.
    with torch.autocast(device, enabled=False):
        return torch.einsum('nklr,ker->nkle', dt, weight)


def _recur(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor]:
    """Runs ``h <- exp(delta A) h + delta x B``, ``y = sum(C h)`` over time.

    Args:
        state: First state ``(N, K, E, d_state)``.
        A: ``(K, E, d_state)``.
        delta: Step sizes ``(L, N, K, E)``.
        delta_x: Step sizes times inputs, ``(L, N, K, E)``.
        B: ``(L, N, K, 1 or E, d_state)``.
        C: ``(L, N, K, 1 or E, d_state)``.

    Returns:
        Outputs ``(L, N, K, E)`` and the last state.
    """
    sequences = (delta, delta_x, B, C)
    needs_grad = torch.is_grad_enabled() and any(
        t.requires_grad for t in (state, A, *sequences)
    )
    outputs = [delta.new_zeros(0, *delta.shape[1:])]
    for chunk in zip(*(t.split(CHUNK) for t in sequences), strict=True):
        if delta.shape[0] == 0:
            break
        if needs_grad:
            y, state = checkpoint(
                _recur_chunk,
                state,
                A,
                *chunk,
                use_reentrant=False,
                preserve_rng_state=False,
            )
        else:
            y, state = _recur_chunk(state, A, *chunk)
        outputs.append(y)
    return torch.cat(outputs), state


def _recur_chunk(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor]:
    # unbind, not indexing: the backward of an index writes a whole sequence of
    # zeros for every step, which is quadratic in the length.
    outputs = []
    for delta_t, delta_x_t, B_t, C_t in zip(
        delta.unbind(), delta_x.unbind(), B.unbind(), C.unbind(), strict=True
    ):
        decay = torch.exp(delta_t.unsqueeze(-1) * A)
        state = decay * state + delta_x_t.unsqueeze(-1) * B_t
        outputs.append((state * C_t).sum(-1))
    return torch.stack(outputs), state


def _time_first(t: Tensor) -> Tensor:
    """``(N, E, L)`` to ``(L, N, E)``."""
    return t.permute(2, 0, 1)


def _time_first_states(t: Tensor, grouped: tuple[int, int], length: int) -> Tensor:
    """``(E, d)``, ``(N, d, L)`` or ``(N, K, d, L)`` to ``(L, N, K, 1 or E, d)``."""
    if t.dim() == 2:
        return t.unflatten(0, grouped)[None, None].expand(length, -1, -1, -1, -1)
    if t.dim() == 3:
        t = t.unsqueeze(1)
    return t.permute(3, 0, 1, 2).unsqueeze(3)


def _reorder(t: Tensor, orders: Sequence[Tensor]) -> Tensor:
    """Puts each path's tokens of ``(N, K, L, ...)`` in the order of its steps."""
    return torch.stack([t[:, k, order] for k, order in enumerate(orders)], dim=1)


def _along_paths(
    sources: Sequence[Tensor], paths: ScanPaths, orders: Sequence[Tensor]
) -> Tensor:
    """The tokens ``(N, K, L, E)`` that the steps of each path visit."""
    return torch.stack(
        [
            sources[source][:, order]
            for (_, source, _), order in zip(paths.steps, orders, strict=True)
        ],
        dim=1,
    )


def _segment_starts(paths: ScanPaths) -> range:
    return range(0, max(paths.num_tokens, 1), paths.segment or max(paths.num_tokens, 1))


def _first_states(
    initial_state: Tensor | None, paths: ScanPaths, A: Tensor, u_steps: Tensor
) -> list[Tensor]:
    """Returns the state ``(N, K, E, d_state)`` each segment begins with."""
    if initial_state is None:
        zeros = u_steps.new_zeros(len(u_steps), *A.shape)
        return [zeros] * paths.num_segments
    initial_state = initial_state.to(u_steps.dtype)
    if paths.segment is None:
        return [initial_state]
    return list(initial_state.unbind(2))
