"""The selective scan of the package mamba-ssm, as a backend.

Its ``selective_scan_fn`` knows fewer cases than `mmssm.ops.selective_scan`. What it
would refuse with an assertion, answer wrongly or leave out of a gradient is an error
here that says so; what differs in dtype alone is cast.

Source: ``csrc/selective_scan/selective_scan.cpp`` and
``mamba_ssm/ops/selective_scan_interface.py`` of mamba-ssm 2.3.2.
"""

import functools
import importlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from . import _native

if TYPE_CHECKING:
    from .selective_scan import Tensors

MODULE = 'mamba_ssm.ops.selective_scan_interface'
DEVICE = 'cuda'
MAX_STATES = 256
# It multiplies sizes and strides in 32 bits.
MAX_ELEMENTS = 2**31 - 1
_INSTEAD = "use 'auto', 'native' or 'reference'"


def scan(
    tensors: 'Tensors', z: Tensor | None, delta_softplus: bool, return_last_state: bool
) -> Any:
    """Calls ``selective_scan_fn`` of mamba-ssm.

    Args:
        tensors: Checked arguments of `mmssm.ops.selective_scan`.
        z: Gate ``(N, E, L)``, or None.
        delta_softplus: Whether ``delta`` goes through softplus.
        return_last_state: Whether to return the last state too.

    Returns:
        What `mmssm.ops.selective_scan` returns.

    Raises:
        ValueError: If mamba-ssm does not know such a call.
        ImportError: If it is not installed with its selective scan.
    """
    obstacle = _obstacle(tensors, z, return_last_state)
    if obstacle is not None:
        raise ValueError(f"the backend 'mamba_ssm' {obstacle}; {_INSTEAD}")
    u, delta, A, B, C, D, delta_bias, _ = tensors
    # Of one dtype, the widest: what varies over the steps; float32: all else.
    steps = [t for t in (u, delta, B, C, z) if t is not None and t.dim() > 2]
    common = functools.reduce(torch.promote_types, (t.dtype for t in steps))

    def cast(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.to(common) if tensor.dim() > 2 else tensor.float().contiguous()

    result = _function()(
        cast(u),
        cast(delta),
        cast(A),
        cast(B),
        cast(C),
        D=cast(D),
        z=cast(z),
        delta_bias=cast(delta_bias),
        delta_softplus=delta_softplus,
        return_last_state=return_last_state,
    )
    if return_last_state:
        out, last_state = result
        return out.to(u.dtype), last_state
    return result.to(u.dtype)


def _obstacle(
    tensors: 'Tensors', z: Tensor | None, return_last_state: bool
) -> str | None:
    """What mamba-ssm does not know of a call, if anything."""
    u, d_state = tensors.u, tensors.A.shape[1]
    given = [t for t in (*tensors, z) if t is not None]
    if tensors.initial_state is not None:
        return 'knows no initial_state'
    if u.device.type != DEVICE:
        return f'runs on NVIDIA GPUs only, but u is on {u.device}'
    if u.dtype == torch.float64:
        return 'knows float32, bfloat16 and float16 only, but u is torch.float64'
    if not 0 < d_state <= MAX_STATES:
        return f'knows 1 to {MAX_STATES} states, but A has d_state = {d_state}'
    if u.numel() == 0:
        return f'knows no empty sizes, but u has shape {tuple(u.shape)}'
    if max(t.numel() for t in given) > MAX_ELEMENTS:
        return 'counts in 32 bits, but a tensor has 2**31 elements or more'
    if return_last_state and _native.needs_gradient(given):
        return (
            'leaves the last state out of the gradient: it returns one under '
            'torch.no_grad() only'
        )
    return None


@functools.cache
def _function() -> Any:
    try:
        return importlib.import_module(MODULE).selective_scan_fn
    except ImportError as error:
        raise ImportError(
            "the backend 'mamba_ssm' needs the package mamba-ssm with its selective "
            f'scan, which cannot be imported ({error}); build it as docs/gpu.md says, '
            f'or {_INSTEAD}'
        ) from error
