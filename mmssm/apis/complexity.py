"""How large a model is and how much it computes, counted honestly.

The profiler behind the parameter and MAC columns of the PoseMamba and SasMamba
papers sees modules of known type only: it passes over every bare parameter
(projections and dynamics of the scans, position tables) and over the scans.
:func:`count` counts them; :func:`profiler_count` repeats the profiler's rule,
for comparison with published tables.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmssm.models.layers import deform_dwconv, dssm, s6


@dataclass(frozen=True)
class Complexity:
    """Size and cost of one forward pass.

    Attributes:
        params: Number of parameters.
        macs: Multiply-accumulates.
        scan_macs: Those of them that are scans.
        by_module: Multiply-accumulates by name of the module, its children's
            included; modules without any are left out.
    """

    params: int
    macs: int
    scan_macs: int = 0
    by_module: Mapping[str, int] = field(default_factory=dict)


def count(model: nn.Module, inputs: Tensor) -> Complexity:
    """Counts matrix products, convolutions, scans and samples of one forward pass.

    A step of a scan counts, per channel and path, 4 multiply-accumulates per
    state (decay, drive and read-out of the state, with the exponential as one),
    1 for the skip and, if the step sizes are projected inside the scan, their
    rank. A bilinear sample of a deformable convolution or scan counts 5 per
    channel: 4 corners and the weight. Element-wise operations and norms count
    nothing.

    Args:
        model: Called as ``model(inputs)``; on any device, ``meta`` too.
        inputs: Its input.

    Returns:
        The counts.
    """
    mapping = {
        torch.ops.mmssm_complexity.path_scan: _path_scan_flops,
        torch.ops.mmssm_complexity.deform_sample: _deform_sample_flops,
    }
    counter = FlopCounterMode(display=False, custom_mapping=mapping)
    with torch.no_grad(), _ops_counted(), counter:
        model(inputs)
    counts = counter.get_flop_counts()
    # The counter calls the model by its class, and a module by its path from it.
    by_module = {
        name.partition('.')[2]: sum(by_op.values()) // 2
        for name, by_op in counts.items()
        if name != 'Global'
    }
    scans = counts.get('Global', {}).get(torch.ops.mmssm_complexity.path_scan, 0)
    return Complexity(
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=counter.get_total_flops() // 2,
        scan_macs=scans // 2,
        by_module=by_module,
    )


def profiler_count(model: nn.Module, inputs: Tensor) -> Complexity:
    """Counts as the profiler of the papers does (``thop``'s rule).

    Linear layers and convolutions by their products, LayerNorm with 4 per
    element, and the parameters of these modules: nothing else.

    Args:
        model: Called as ``model(inputs)``; on any device, ``meta`` too.
        inputs: Its input.

    Returns:
        The counts, without modules.
    """
    macs = 0

    def add(module: Any, _: Any, output: Tensor) -> None:
        nonlocal macs
        if isinstance(module, nn.LayerNorm):
            macs += 4 * output.numel()
        else:
            # Products per output element: all weights that one output reads.
            macs += output.numel() * module.weight[0].numel()

    seen = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.LayerNorm)
    ]
    handles = [module.register_forward_hook(add) for module in seen]
    try:
        with torch.no_grad(), _ops_counted():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    params = sum(p.numel() for module in seen for p in module.parameters())
    return Complexity(params=params, macs=macs)


@torch.library.custom_op('mmssm_complexity::path_scan', mutates_args=())
def _uncomputed_path_scan(
    x: Sequence[Tensor], A: Tensor, dt_weight: Tensor | None
) -> Tensor:
    return torch.zeros_like(x[0])


@_uncomputed_path_scan.register_fake
def _(x: Sequence[Tensor], A: Tensor, dt_weight: Tensor | None) -> Tensor:
    return torch.empty_like(x[0])


def _path_scan_flops(
    x_shapes: Sequence[Sequence[int]],
    A_shape: Sequence[int],
    dt_weight_shape: Sequence[int] | None,
    *,
    out_shape: Sequence[int] | None = None,
) -> int:
    batch, tokens, _ = x_shapes[0]
    paths, channels, d_state = A_shape
    rank = dt_weight_shape[2] if dt_weight_shape is not None else 0
    return 2 * batch * tokens * paths * channels * (4 * d_state + 1 + rank)


def _scan_stand_in(
    x: Sequence[Tensor],
    *,
    A: Tensor,
    dt_weight: Tensor,
    initial_state: Tensor | None = None,
    return_last_state: bool = False,
    **kw: Any,
) -> Any:
    y = _uncomputed_path_scan(list(x), A, dt_weight)
    return (y, initial_state) if return_last_state else y


@torch.library.custom_op('mmssm_complexity::deform_sample', mutates_args=())
def _uncomputed_deform_sample(x: Tensor, offset: Tensor) -> Tensor:
    return torch.zeros_like(x)


@_uncomputed_deform_sample.register_fake
def _(x: Tensor, offset: Tensor) -> Tensor:
    return torch.empty_like(x)


def _deform_sample_flops(
    x_shape: Sequence[int],
    offset_shape: Sequence[int],
    *,
    out_shape: Sequence[int] | None = None,
) -> int:
    batch, tokens, channels = x_shape
    return 2 * batch * tokens * channels * 5 * offset_shape[3]


def _sample_stand_in(x: Tensor, offset: Tensor, *args: Any) -> Tensor:
    return _uncomputed_deform_sample(x, offset)


def _deform_scan_stand_in(
    x: Tensor, offset: Tensor, *args: Any, A: Tensor, dt_weight: Tensor, **kw: Any
) -> Tensor:
    sampled = _uncomputed_deform_sample(x, offset)
    return _uncomputed_path_scan([sampled], A, dt_weight)


@contextmanager
def _ops_counted() -> Iterator[None]:
    """Lets a counter see our ops, which takes none of their time.

    Whatever backend serves them, no counter knows the ops: while counting, some
    of known cost and no work stand in for them.
    """
    originals = s6.path_scan, deform_dwconv.deform_sample, dssm.deform_scan
    s6.path_scan = _scan_stand_in  # type: ignore[assignment]
    deform_dwconv.deform_sample = _sample_stand_in  # type: ignore[assignment]
    dssm.deform_scan = _deform_scan_stand_in  # type: ignore[assignment]
    try:
        yield
    finally:
        s6.path_scan, deform_dwconv.deform_sample, dssm.deform_scan = originals
