"""The selective scan of Mamba, with the arguments of mamba-ssm."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import _mamba_ssm, _native, decomposed, reference
from ._backend import choose
from ._checks import check_dims, check_floats, check_shape, state_dtype


class Tensors(NamedTuple):
    """The tensors of a scan, as the compiled op and the reference take them."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    delta_bias: Tensor | None
    initial_state: Tensor | None


OPTIONAL = ('D', 'z', 'delta_bias', 'initial_state')


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    initial_state: Tensor | None = None,
) -> Any:
    """Scans each channel of a sequence with input-dependent dynamics.

    With ``delta' = softplus(delta + delta_bias)`` (softplus if asked for), for
    every channel ``e`` and state ``n``::

        h[l] = exp(delta'[l] A[e, n]) h[l - 1] + delta'[l] B[n, l] u[l]
        out[l] = sum_n C[n, l] h[l] + D[e] u[l]

    and ``out * silu(z)`` if there is a gate. Arguments and results are those of
    mamba-ssm's ``selective_scan_fn`` for real ``A``; ``initial_state`` is added.
    The states are float32 (float64 for float64) whatever the inputs are, and
    the inputs may mix float32, bfloat16 and float16. Under autocast nothing is
    cast.

    The arithmetic is ``7 d_state + 5`` operations per channel and step, a
    multiplication, addition or exponential counting as one each.

    Args:
        u: Input ``(N, E, L)``.
        delta: Step sizes ``(N, E, L)``, before bias and softplus.
        A: Dynamics ``(E, d_state)``, negative for a stable scan.
        B: Input weights ``(N, d_state, L)``, ``(N, G, d_state, L)`` for ``G``
            groups of neighbouring channels, or ``(E, d_state)`` if constant.
        C: Output weights, shaped as one of the forms of ``B``.
        D: Skip weights ``(E,)``.
        z: Gate ``(N, E, L)``.
        delta_bias: Added to ``delta``, ``(E,)``.
        delta_softplus: Whether ``delta`` goes through softplus.
        return_last_state: Whether to return the last state too.
        initial_state: State before the first step, ``(N, E, d_state)``; zero if
            not given.

    Returns:
        The output ``(N, E, L)`` in the dtype of ``u``; with
        ``return_last_state`` also the last state ``(N, E, d_state)`` in the
        dtype of the state.

    Raises:
        TypeError: If an argument is no real floating-point tensor.
        ValueError: If a shape or device does not fit, or the backend
            ``mamba_ssm`` is asked for what it does not know.
        RuntimeError: If compiled kernels are required and cannot be used;
            constant ``B`` or ``C`` have none.

    Source:
        Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State
        Spaces", Algorithm 2.
    """
    tensors = Tensors(u, delta, A, B, C, D, delta_bias, initial_state)
    _check(tensors, z)
    chosen = choose('selective_scan', u.device, _obstacle(B, C))
    if chosen == 'mamba_ssm':
        return _mamba_ssm.scan(tensors, z, delta_softplus, return_last_state)
    if chosen == 'native':
        tensors = tensors._replace(B=_grouped(B), C=_grouped(C))
        wide = state_dtype(u.dtype) if z is not None else u.dtype
        out, last_state, _ = torch.ops.mmssm.selective_scan(
            *tensors,
            delta_softplus,
            return_last_state,
            _native.needs_gradient(tensors),
            wide,
        )
    else:
        plain = decomposed if chosen == 'decomposed' else reference
        out, last_state = plain.selective_scan(*tensors, delta_softplus)
    if z is not None:
        out = out * F.silu(z.to(state_dtype(u.dtype)))
    out = out.to(u.dtype)
    return (out, last_state) if return_last_state else out


def _check(tensors: Tensors, z: Tensor | None) -> None:
    check_floats(OPTIONAL, **tensors._asdict(), z=z)
    u, delta, A, B, C, D, delta_bias, initial_state = tensors
    check_dims('u', u, 'N', 'E', 'L')
    check_dims('A', A, 'E', 'd_state')
    N, E, L = u.shape
    d_state = A.shape[1]
    check_shape('delta', delta, N=N, E=E, L=L)
    check_shape('A', A, E=E, d_state=d_state)
    _check_weights('B', B, N, E, L, d_state)
    _check_weights('C', C, N, E, L, d_state)
    if B.dim() > 2 and C.dim() > 2 and _num_groups(B) != _num_groups(C):
        raise ValueError(
            f'C must have the {_num_groups(B)} groups of B, got {_num_groups(C)}'
        )
    check_shape('D', D, E=E)
    check_shape('z', z, N=N, E=E, L=L)
    check_shape('delta_bias', delta_bias, E=E)
    check_shape('initial_state', initial_state, N=N, E=E, d_state=d_state)


def _check_weights(
    name: str, weights: Tensor, N: int, E: int, L: int, d_state: int
) -> None:
    if weights.dim() == 2:
        check_shape(name, weights, E=E, d_state=d_state)
    elif weights.dim() == 3:
        check_shape(name, weights, N=N, d_state=d_state, L=L)
    elif weights.dim() == 4:
        groups = weights.shape[1]
        check_shape(name, weights, N=N, G=groups, d_state=d_state, L=L)
        if groups == 0 or E % groups:
            raise ValueError(
                f'{name} has G = {groups} groups, which do not divide the '
                f'{E} channels of u'
            )
    else:
        raise ValueError(
            f'{name} must be (N, d_state, L), (N, G, d_state, L) or (E, d_state), '
            f'got shape {tuple(weights.shape)}'
        )


def _num_groups(weights: Tensor) -> int:
    return weights.shape[1] if weights.dim() == 4 else 1


def _grouped(weights: Tensor) -> Tensor:
    return weights.unsqueeze(1) if weights.dim() == 3 else weights


def _obstacle(B: Tensor, C: Tensor) -> str | None:
    if B.dim() == 2 or C.dim() == 2:
        return 'a constant B or C, shaped (E, d_state), has no kernel'
    return None


def register_selective_scan() -> None:
    """Gives the compiled op its fakes and its gradient."""
    name = 'mmssm::selective_scan'
    torch.library.register_fake(name, _fake)
    torch.library.register_autograd(name, _backward, setup_context=_setup_context)
    _native.register_backward('selective_scan_backward', _fake_backward)


def _fake(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, *rest: Any) -> Any:
    *_, return_last_state, for_backward, out_dtype = rest
    N, E, L = u.shape
    G, d_state = B.shape[1:3]
    dtype = state_dtype(u.dtype)
    last_state = (N, E, d_state) if return_last_state else (0,)
    slots = L // _native.CHECKPOINT_STEPS
    checkpoints = (N, G, 1, slots, d_state, E // G) if for_backward else (0,)
    return (
        u.new_empty((N, E, L), dtype=out_dtype),
        u.new_empty(last_state, dtype=dtype),
        u.new_empty(checkpoints, dtype=dtype),
    )


def _fake_backward(
    grad_out: Tensor,
    grad_last_state: Tensor | None,
    checkpoints: Tensor,
    *arguments: Any,
) -> tuple[Tensor, ...]:
    *tensors, _ = arguments
    return tuple(_native.fake_gradients(tensors, like=checkpoints))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    *tensors, ctx.delta_softplus, ctx.has_last_state, _, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, output[2])


def _backward(
    ctx: Any, grad_out: Tensor | None, grad_last_state: Tensor | None, _: None
) -> tuple[Tensor | None, ...]:
    *tensors, checkpoints = ctx.saved_tensors
    if grad_out is None:
        grad_out = torch.zeros_like(tensors[0])
    if not ctx.has_last_state:
        grad_last_state = None
    gradients = torch.ops.mmssm.selective_scan_backward(
        grad_out, grad_last_state, checkpoints, *tensors, ctx.delta_softplus
    )
    return *_native.drop_absent(gradients, tensors), *[None] * 4
