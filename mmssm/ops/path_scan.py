"""One scan over tokens along several paths, summed token by token."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import _native, decomposed, reference
from ._backend import choose
from ._checks import (
    FLOAT_DTYPES,
    check_dims,
    check_floats,
    check_shape,
    state_dtype,
)
from .scan_paths import ScanPaths


class Tensors(NamedTuple):
    """The tensors of a scan, as the compiled op and the reference take them."""

    x: list[Tensor]
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    dt_bias: Tensor | None
    dt_weight: Tensor | None
    initial_state: Tensor | None


OPTIONAL = ('D', 'dt_bias', 'dt_weight', 'initial_state')


def path_scan(
    x: Tensor | Sequence[Tensor],
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    dt_bias: Tensor | None,
    paths: ScanPaths,
    *,
    dt_weight: Tensor | None = None,
    initial_state: Tensor | None = None,
    return_last_state: bool = False,
    out_dtype: torch.dtype | None = None,
) -> Any:
    """Scans a set of tokens along ``K`` paths and sums the paths per token.

    Path ``k`` visits the tokens ``i`` of its source in its own order::

        delta = softplus(W_k dt[k, i] + b_k)
        h <- exp(delta A_k) h + delta B[k, i] x[i]
        y_k[i] = C[k, i] . h + D_k x[i]

    and ``y[i]`` is the sum of ``y_k[i]`` over the paths, added in the order of
    the paths. All arguments and the result are in token order: the compiled
    kernels make no permuted or repeated copy, and the step sizes ``delta`` of
    all channels never exist as a tensor. The states are float32 (float64 for
    float64) whatever the inputs are, and the inputs may mix float32, bfloat16
    and float16. Forward and backward are deterministic.

    The arithmetic is ``7 d_state + 2 R + 6`` operations per channel, path and
    token (``7 d_state + 6`` without ``dt_weight``), a multiplication, addition,
    exponential or softplus counting as one each.

    Args:
        x: Tokens ``(N, L, E)``, or one such tensor per source that ``paths``
            names, all of one dtype.
        dt: ``(N, K, L, R)`` with ``dt_weight``, else ``(N, K, L, E)``.
        A: Dynamics ``(K, E, d_state)``, negative for a stable scan.
        B: Input weights ``(N, K, L, d_state)``.
        C: Output weights ``(N, K, L, d_state)``.
        D: Skip weights ``(K, E)``, or None.
        dt_bias: ``(K, E)``, or None.
        paths: The paths, with their index on the device of ``x``.
        dt_weight: ``(K, E, R)``.
        initial_state: States before the first step, ``(N, K, E, d_state)``, or
            ``(N, K, segments, E, d_state)`` if ``paths`` has segments; zero if
            not given.
        return_last_state: Whether to return the last states too.
        out_dtype: Dtype of the output. Default: the dtype of ``x``, under
            autocast float32.

    Returns:
        The output ``(N, L, E)``; with ``return_last_state`` also the last
        states, shaped as ``initial_state``, in the dtype of the state.

    Raises:
        TypeError: If an argument is no real floating-point tensor, or ``paths``
            no `ScanPaths`.
        ValueError: If a shape or device does not fit, or the requested backend
            has no path scan.
        RuntimeError: If compiled kernels are required and cannot be used.
    """
    sources = [x] if isinstance(x, Tensor) else _as_sources(x)
    tensors = Tensors(sources, dt, A, B, C, D, dt_bias, dt_weight, initial_state)
    check_path_scan(tensors, paths)
    out_dtype = _output_dtype(sources[0], out_dtype)
    chosen = choose('path_scan', sources[0].device)
    if chosen == 'native':
        y, last_state = _call_native(tensors, paths, return_last_state, out_dtype)
    else:
        plain = decomposed if chosen == 'decomposed' else reference
        y, last_state = plain.path_scan(*tensors, paths)
        y = y.to(out_dtype)
    return (y, last_state) if return_last_state else y


def _as_sources(x: Sequence[Tensor]) -> list[Tensor]:
    if not isinstance(x, Sequence):
        raise TypeError(
            f'x must be a tensor or a sequence of tensors, got {type(x).__name__}'
        )
    return list(x)


def check_path_scan(tensors: Tensors, paths: ScanPaths) -> None:
    """Raises what `path_scan` says it raises of wrong arguments."""
    sources, dt, A, B, C, D, dt_bias, dt_weight, initial_state = tensors
    if not isinstance(paths, ScanPaths):
        raise TypeError(
            f'paths must be a mmssm.ops.ScanPaths, got {type(paths).__name__}'
        )
    if len(sources) != paths.num_sources:
        raise ValueError(
            f'x must hold the {paths.num_sources} source(s) that paths names, got '
            f'{len(sources)}'
        )
    named = {f'x[{s}]': source for s, source in enumerate(sources)}
    check_floats(OPTIONAL, **tensors._asdict() | {'x': sources[0]} | named)
    check_dims('x', sources[0], 'N', 'L', 'E')
    check_dims('A', A, 'K', 'E', 'd_state')
    N, L, E = sources[0].shape
    K, d_state = paths.num_paths, A.shape[2]
    for s, source in enumerate(sources):
        check_shape(f'x[{s}]', source, N=N, L=L, E=E)
        if source.dtype != sources[0].dtype:
            raise TypeError(
                f'x[{s}] is {source.dtype} but x[0] is {sources[0].dtype}: all '
                'sources must be of one dtype'
            )
    _check_paths(paths, L, sources[0].device)
    check_shape('A', A, K=K, E=E, d_state=d_state)
    check_shape('B', B, N=N, K=K, L=L, d_state=d_state)
    check_shape('C', C, N=N, K=K, L=L, d_state=d_state)
    check_shape('D', D, K=K, E=E)
    check_shape('dt_bias', dt_bias, K=K, E=E)
    if dt_weight is None:
        check_shape('dt', dt, N=N, K=K, L=L, E=E)
    else:
        check_dims('dt_weight', dt_weight, 'K', 'E', 'R')
        R = dt_weight.shape[2]
        check_shape('dt_weight', dt_weight, K=K, E=E, R=R)
        check_shape('dt', dt, N=N, K=K, L=L, R=R)
    if paths.segment is None:
        check_shape('initial_state', initial_state, N=N, K=K, E=E, d_state=d_state)
    else:
        check_shape(
            'initial_state', initial_state,
            N=N, K=K, segments=paths.num_segments, E=E, d_state=d_state,
        )  # fmt: skip


def _check_paths(paths: ScanPaths, L: int, device: torch.device) -> None:
    if paths.num_tokens != L:
        raise ValueError(
            f'paths visits {paths.num_tokens} tokens, but x has L = {L} of them'
        )
    if paths.index.device != device:
        raise ValueError(
            f'paths has its index on {paths.index.device}, but x is on {device}; '
            'move it once with paths.to(device)'
        )


def default_output_dtype(x: Tensor) -> torch.dtype:
    """The dtype of ``x``, and that of the state under autocast."""
    device = x.device.type
    if device != 'meta' and torch.is_autocast_enabled(device):
        return state_dtype(x.dtype)
    return x.dtype


def _output_dtype(x: Tensor, out_dtype: torch.dtype | None) -> torch.dtype:
    if out_dtype is None:
        return default_output_dtype(x)
    if out_dtype not in FLOAT_DTYPES:
        raise TypeError(
            f'out_dtype must be float32, float64, bfloat16 or float16, got {out_dtype}'
        )
    return out_dtype


def _call_native(
    tensors: Tensors, paths: ScanPaths, return_last_state: bool, out_dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    rows, of_source, reverse = zip(*paths.steps, strict=True)
    if paths.segment is None and tensors.initial_state is not None:
        tensors = tensors._replace(initial_state=tensors.initial_state.unsqueeze(2))
    y, last_state, _ = torch.ops.mmssm.path_scan(
        *tensors,
        paths.index,
        list(rows),
        list(of_source),
        [int(r) for r in reverse],
        steps_per_segment(paths),
        paths.num_segments,
        return_last_state,
        _native.needs_gradient((*tensors.x, *tensors[1:])),
        out_dtype,
    )
    if return_last_state and paths.segment is None:
        last_state = last_state.squeeze(2)
    return y, last_state


def steps_per_segment(paths: ScanPaths) -> int:
    """Steps between restarts, at least 1 so that kernels can divide by it."""
    whole = max(paths.num_tokens, 1)
    return whole if paths.segment is None else min(paths.segment, whole)


def register_path_scan() -> None:
    """Gives the compiled op its fakes and its gradient."""
    name = 'mmssm::path_scan'
    torch.library.register_fake(name, _fake)
    torch.library.register_autograd(name, _backward, setup_context=_setup_context)
    _native.register_backward('path_scan_backward', _fake_backward)


def _fake(x: list[Tensor], dt: Tensor, A: Tensor, *rest: Any) -> Any:
    *_, segment, segments, return_last_state, for_backward, out_dtype = rest
    N, L, E = x[0].shape
    K, _, d_state = A.shape
    dtype = state_dtype(x[0].dtype)
    slots = segment // _native.CHECKPOINT_STEPS
    last_state = (N, K, segments, E, d_state) if return_last_state else (0,)
    checkpoints = (N, K, segments, slots, d_state, E) if for_backward else (0,)
    return (
        x[0].new_empty((N, L, E), dtype=out_dtype),
        x[0].new_empty(last_state, dtype=dtype),
        x[0].new_empty(checkpoints, dtype=dtype),
    )


def _fake_backward(
    grad_y: Tensor,
    grad_last_state: Tensor | None,
    checkpoints: Tensor,
    x: list[Tensor],
    *arguments: Any,
) -> tuple[list[Tensor], *tuple[Tensor, ...]]:
    tensors = arguments[:8]
    return (
        _native.fake_gradients(x, like=checkpoints),
        *_native.fake_gradients(tensors, like=checkpoints),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, *tensors = inputs[:9]
    index, *ctx.constants = inputs[9:15]
    ctx.has_last_state = inputs[15]
    ctx.set_materialize_grads(False)
    ctx.num_sources = len(x)
    ctx.save_for_backward(*x, *tensors, index, output[2])


def _backward(
    ctx: Any, grad_y: Tensor | None, grad_last_state: Tensor | None, _: None
) -> tuple[Any, ...]:
    *saved, index, checkpoints = ctx.saved_tensors
    x, tensors = saved[: ctx.num_sources], saved[ctx.num_sources :]
    if grad_y is None:
        grad_y = torch.zeros_like(x[0])
    if not ctx.has_last_state:
        grad_last_state = None
    grad_x, *gradients = torch.ops.mmssm.path_scan_backward(
        grad_y, grad_last_state, checkpoints, x, *tensors, index, *ctx.constants
    )
    return grad_x, *_native.drop_absent(gradients, tensors), *[None] * 9
