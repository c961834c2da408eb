"""One scan over the tokens of a map whose input is sampled at predicted places."""

from typing import Any

import torch
from torch import Tensor

from . import _native, decomposed, reference
from ._backend import choose
from ._checks import state_dtype
from .deform_sample import check_deform_sample
from .path_scan import (
    Tensors,
    check_path_scan,
    default_output_dtype,
    steps_per_segment,
)
from .scan_paths import ScanPaths


def deform_scan(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    dt_bias: Tensor | None,
    paths: ScanPaths,
    *,
    dt_weight: Tensor | None = None,
) -> Tensor:
    """Scans a map along ``P`` paths, reading each token's input around its place.

    Path ``k`` visits the tokens ``i`` of the map in its own order::

        u[i] = sum over m of weight[i, m] x(place of i + anchors[m] + offset[i, m])
        delta = softplus(W_k dt[k, i] + b_k)
        h <- exp(delta A_k) h + delta B[k, i] u[i]
        y_k[i] = C[k, i] . h + D_k x[i]

    and ``y[i]`` is the sum of ``y_k[i]`` over the paths. Only the input of the
    state reads the samples ``u``, which are those of `deform_sample`: bilinear,
    and zero outside of the map. The skip reads the token itself, and ``dt``, ``B``
    and ``C`` are what the caller made of undeformed tokens. With one anchor, no
    offset and weight 1 the result is that of `path_scan`, bit by bit.

    The samples are made while the scan runs and are never stored: the backward
    makes them again. Places, weights and states are float32 (float64 for float64)
    whatever the inputs are, which may mix float32, bfloat16 and float16. A NaN
    place makes the samples of its token and group NaN. Forward and backward are
    deterministic, whatever the number of threads.

    Args:
        x: Tokens of a map, row by row: ``(N, L, E)`` with ``L = H * W``.
        offset: Offsets (rows, columns) in pixels, ``(N, L, G, M, 2)``, where
            each of ``G`` groups of ``E / G`` neighbouring channels has its own.
        weight: Of the samples, ``(N, L, G, M)`` by token or ``(E, M)`` by
            channel.
        anchors: Places relative to the token (rows, columns) in pixels,
            ``(M, 2)``. They are constants: no gradient reaches them.
        size: Height ``H`` and width ``W`` of the map.
        dt: ``(N, P, L, R)`` with ``dt_weight``, else ``(N, P, L, E)``.
        A: Dynamics ``(P, E, d_state)``, negative for a stable scan.
        B: Input weights ``(N, P, L, d_state)``.
        C: Output weights ``(N, P, L, d_state)``.
        D: Skip weights ``(P, E)``, or None.
        dt_bias: ``(P, E)``, or None.
        paths: The paths, all of one source, with their index on the device of
            ``x``.
        dt_weight: ``(P, E, R)``.

    Returns:
        ``(N, L, E)`` in the dtype of ``x``, under autocast float32 (float64 for
        float64).

    Raises:
        TypeError: If an argument is no real floating-point tensor, or some but
            not all are float64; if ``size`` is not two integers or ``paths`` no
            `ScanPaths`.
        ValueError: If a shape or device does not fit, ``paths`` names a second
            source, or the requested backend has no such op.
        RuntimeError: If compiled kernels are required and cannot be used.

    Source:
        "DF-Mamba", Eq. 6 (weights by token, one path).
    """
    rows, columns = check_deform_sample(x, offset, weight, anchors, size)
    tensors = Tensors([x], dt, A, B, C, D, dt_bias, dt_weight, None)
    check_path_scan(tensors, paths)
    dtype = state_dtype(x.dtype)
    out_dtype = default_output_dtype(x)
    # Lower precision would shift the places: offsets of pixels in large maps.
    sampling = offset.to(dtype), weight.to(dtype), anchors.detach().to(dtype)
    chosen = choose('deform_scan', x.device)
    if chosen != 'native':
        plain = decomposed if chosen == 'decomposed' else reference
        y = plain.deform_scan(
            x, *sampling, rows, columns,
            dt, A, B, C, D, dt_bias, dt_weight, paths,
        )  # fmt: skip
        return y.to(out_dtype)
    index_rows, _, reverse = zip(*paths.steps, strict=True)
    y, _ = torch.ops.mmssm.deform_scan(
        x,
        *sampling,
        *tensors[1:-1],
        paths.index,
        rows,
        columns,
        list(index_rows),
        [int(r) for r in reverse],
        steps_per_segment(paths),
        paths.num_segments,
        _native.needs_gradient((x, *sampling, *tensors[1:])),
        out_dtype,
    )
    return y


def register_deform_scan() -> None:
    """Gives the compiled op its fakes and its gradient."""
    name = 'mmssm::deform_scan'
    torch.library.register_fake(name, _fake)
    torch.library.register_autograd(name, _backward, setup_context=_setup_context)
    _native.register_backward('deform_scan_backward', _fake_backward)


def _fake(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    A = rest[4]
    *_, segment, segments, for_backward, out_dtype = rest
    N, L, E = x.shape
    P, _, d_state = A.shape
    slots = segment // _native.CHECKPOINT_STEPS
    checkpoints = (N, P, segments, slots, d_state, E) if for_backward else (0,)
    return (
        x.new_empty((N, L, E), dtype=out_dtype),
        x.new_empty(checkpoints, dtype=state_dtype(x.dtype)),
    )


def _fake_backward(
    grad_y: Tensor, checkpoints: Tensor, *arguments: Any
) -> tuple[Tensor, ...]:
    x, offset, weight, _, *tensors = arguments[:11]
    return tuple(
        _native.fake_gradients((x, offset, weight, *tensors), like=checkpoints)
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.constants = inputs[12:18]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:12], output[1])


def _backward(ctx: Any, grad_y: Tensor | None, _: None) -> tuple[Any, ...]:
    if grad_y is None:
        return (None,) * 20
    *saved, checkpoints = ctx.saved_tensors
    gradients = torch.ops.mmssm.deform_scan_backward(
        grad_y, checkpoints, *saved, *ctx.constants
    )
    # Of the anchors there is none.
    rest = _native.drop_absent(gradients[3:], saved[4:11])
    return *gradients[:3], None, *rest, *[None] * 9
