"""The ops in terms that exporters know, but for one recurrence.

What `torch.export` records of a model under ``mmssm.ops.backend('decomposed')`` is
made of PyTorch's own operators and of one of ours, ``mmssm::scan_steps``: the
recurrence itself, for all paths and stretches side by side. A translator has this
one to write (`mmssm.apis.onnx_scan`: an ONNX ``Scan``). In eager PyTorch it is a
loop, so this backend runs too, slowly.

A log-depth form without a loop exists; it computes on the states of all steps at
once, which are ``d_state`` times the features, and took 25 times as long in
onnxruntime (459 tokens, 4 paths, 128 channels, 16 states). The states of one step
stay in the cache.
"""

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from ._checks import state_dtype
from .scan_paths import ScanPaths


@torch.library.custom_op('mmssm::scan_steps', mutates_args=())
def scan_steps(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor]:
    """Runs ``h <- exp(delta A) h + delta_x B`` and gives ``C h`` of every step.

    Args:
        state: First states ``(..., d_state, E)`` of scans side by side.
        A: The same, or what broadcasts to it, as the others.
        delta: Step sizes ``(steps, ..., 1, E)``.
        delta_x: Step sizes times inputs, of the same shape.
        B: ``(steps, ..., d_state, 1)``, or with ``E`` as the last.
        C: ``(steps, ..., 1, d_state)``.

    Returns:
        The outputs ``(steps, ..., 1, E)`` and the last states.
    """
    state = state.clone()
    outputs = []
    for delta_t, delta_x_t, B_t, C_t in zip(delta, delta_x, B, C, strict=True):
        state = torch.exp(delta_t * A) * state + delta_x_t * B_t
        outputs.append(C_t @ state)
    return torch.stack(outputs) if outputs else torch.empty_like(delta), state


@scan_steps.register_fake
def _(
    state: Tensor, A: Tensor, delta: Tensor, delta_x: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor]:
    return delta_x.new_empty(delta_x.shape), state.new_empty(state.shape)


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
    """Computes `mmssm.ops.path_scan`.

    Returns:
        The output ``(N, L, E)`` and the last states ``(N, K, E, d_state)`` or, with
        segments, ``(N, K, segments, E, d_state)``, both in the dtype of the state.
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
    """Computes `mmssm.ops.deform_scan`, in the dtype of the state."""
    wide = x.to(offset.dtype)
    u = deform_sample(wide, offset, weight, anchors, rows, columns)
    tensors = dt, A, B, C, D, dt_bias, dt_weight, None
    return _scan_paths([wide], [u], *tensors, paths)[0]


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
    """Computes `mmssm.ops.selective_scan`, before the gate ``z``.

    Returns:
        The output ``(N, E, L)`` and the last state ``(N, E, d_state)``, both in the
        dtype of the state.
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
    y, last_state = scan_steps(
        state, A.unflatten(0, grouped).mT, of_channels(delta), of_channels(delta * u),
        B.mT, C,
    )  # fmt: skip
    y = y.reshape(L, N, E).permute(1, 2, 0)
    if D is not None:
        y = y + D.to(dtype)[:, None] * u
    return y, last_state[:, 0].mT.flatten(1, 2)


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
    G = offset.shape[2]
    token = torch.arange(L, device=x.device)[:, None, None]
    places, shares = _corners(
        token // max(columns, 1) + anchors[:, 0] + offset[..., 0],
        token % max(columns, 1) + anchors[:, 1] + offset[..., 1],
        rows,
        columns,
    )
    image = torch.arange(N, device=x.device).view(N, 1, 1, 1, 1)
    group = torch.arange(G, device=x.device)[:, None, None]
    places = (image * L + places) * G + group
    of_group = x.reshape(N * L * G, E // G)
    y = x.new_zeros(N, L, G, E // G)
    # One anchor after the other: all samples at once would not stay in the cache.
    for place, share, of_anchor in zip(
        places.unbind(3), shares.unbind(3), weight.unbind(-1), strict=True
    ):
        corners = of_group.index_select(0, place.flatten()).view(N, L, G, 4, E // G)
        value = (share.unsqueeze(-2) @ corners).squeeze(-2)
        if weight.dim() == 4:
            y = y + of_anchor.unsqueeze(-1) * value
        else:
            y = y + of_anchor.view(G, E // G) * value
    return y.flatten(2)


def _corners(
    row: Tensor, column: Tensor, rows: int, columns: int
) -> tuple[Tensor, Tensor]:
    """The four tokens about places ``(N, L, G, M)`` and their shares, both with 4."""
    top, left = row.floor(), column.floor()
    down, right = row - top, column - left
    # both in the order: above left, above right, below left, below right
    at_row = torch.stack([top, top, top + 1, top + 1], -1)
    at_column = torch.stack([left, left + 1, left, left + 1], -1)
    share = torch.stack(
        [
            (1 - down) * (1 - right),
            (1 - down) * right,
            down * (1 - right),
            down * right,
        ],
        -1,
    )
    exists = (at_row >= 0) & (at_row < rows) & (at_column >= 0) & (at_column < columns)
    place = torch.where(exists, at_row * columns + at_column, 0.0).long()
    # What is NaN exists nowhere, and stays NaN.
    return place, torch.where(exists | share.isnan(), share, 0.0)


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
    N, L, E = x[0].shape
    K, S, d_state = paths.num_paths, paths.num_segments, A.shape[2]
    visits = _Visits(paths, x[0].device)
    # Paths and tokens first: steps are then taken, and given back, by whole rows.
    delta, B, C = (t.to(dtype).permute(1, 2, 0, 3) for t in (dt, B, C))
    if dt_weight is not None:
        delta = delta.flatten(1, 2) @ dt_weight.to(dtype).mT
        delta = delta.unflatten(1, (L, N))
    if dt_bias is not None:
        delta = delta + dt_bias.to(dtype)[:, None, None]
    delta = visits.order(F.softplus(delta).flatten(0, 1), visits.of_path)
    if visits.is_real is not None:
        # A step of no length leaves the state as it is.
        delta = delta * visits.is_real
    read = torch.cat([tokens.to(dtype).transpose(0, 1) for tokens in u])
    delta_u = delta * visits.order(read, visits.of_source)
    if initial_state is None:
        state = delta.new_zeros(S, K, N, d_state, E)
    else:
        state = initial_state.to(dtype).reshape(N, K, S, E, d_state)
        state = state.permute(2, 1, 0, 4, 3)
    y, last_state = scan_steps(
        state,
        A.to(dtype).mT.unsqueeze(1),
        delta.unsqueeze(-2),
        delta_u.unsqueeze(-2),
        visits.order(B.flatten(0, 1), visits.of_path).unsqueeze(-1),
        visits.order(C.flatten(0, 1), visits.of_path).unsqueeze(-2),
    )
    y = visits.to_tokens(y.squeeze(-2))
    if D is not None:
        for source, tokens in enumerate(x):
            readers = [k for k, step in enumerate(paths.steps) if step[1] == source]
            y = y + D[readers].to(dtype).sum(0) * tokens.to(dtype)
    last_state = last_state.permute(2, 1, 0, 4, 3)
    return y, last_state.squeeze(2) if paths.segment is None else last_state


class _Visits:
    """Where each step of some paths finds its token.

    Steps are laid out as ``(steps of a segment, segment, path)``. All of this is
    made in Python, so that an exporter sees constants.

    Attributes:
        of_path: Place among the tokens of all paths of each step.
        of_source: The same among the tokens of all sources.
        of_token: For each token of each path, ``(K L)``, its place among the steps.
        is_real: ``(steps, segments, 1, 1, 1)``, 0 for steps behind the end of the
            last segment; None if there are none.
    """

    def __init__(self, paths: ScanPaths, device: torch.device) -> None:
        L, K, S = paths.num_tokens, paths.num_paths, paths.num_segments
        steps = min(paths.segment or L, L)
        self.shape = steps, S, K
        self.length = L
        rows = paths.index.tolist()
        orders = [rows[r][::-1] if back else rows[r] for r, _, back in paths.steps]
        sources = [source for _, source, _ in paths.steps]
        of_path: list[int] = []
        of_source: list[int] = []
        of_token = [0] * (K * L)
        for step, segment, k in product(range(steps), range(S), range(K)):
            visited = segment * steps + step
            # Behind the end any token does: its step has no length.
            token = orders[k][visited] if visited < L else 0
            if visited < L:
                of_token[k * L + token] = len(of_path)
            of_path.append(k * L + token)
            of_source.append(sources[k] * L + token)
        self.of_path = torch.tensor(of_path, dtype=torch.int64, device=device)
        self.of_source = torch.tensor(of_source, dtype=torch.int64, device=device)
        self.of_token = torch.tensor(of_token, dtype=torch.int64, device=device)
        self.is_real: Tensor | None = None
        if steps * S > L:
            real = [[s * steps + i < L for s in range(S)] for i in range(steps)]
            self.is_real = torch.tensor(real, device=device)[..., None, None, None]

    def order(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Tokens ``(..., N, X)`` at some places: ``(steps, segments, K, N, X)``."""
        return tokens.index_select(0, places).unflatten(0, self.shape)

    def to_tokens(self, y: Tensor) -> Tensor:
        """``(steps, segments, K, N, E)`` summed over paths: ``(N, L, E)``."""
        tokens = y.flatten(0, 2).index_select(0, self.of_token)
        return tokens.unflatten(0, (self.shape[2], self.length)).sum(0).transpose(0, 1)


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
