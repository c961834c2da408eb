"""Bilinear samples of a map at predicted places, weighted and summed."""

from typing import Any

import torch
from torch import Tensor

from . import _native, decomposed, reference
from ._backend import choose
from ._checks import check_dims, check_floats, check_shape, state_dtype


def deform_sample(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """Reads a map at ``M`` predicted places around each token and sums.

    Token ``l`` stands at row ``l // W`` and column ``l % W``. Its tap ``m`` of
    group ``g`` reads the map bilinearly at::

        (row, column) + anchors[m] + offset[l, g, m]

    with zeros outside of the map, each of the four corners by itself; so a
    place up to one pixel outside still reads its inner corners. The samples
    are multiplied with the weights and summed over the taps. With one tap, no
    offset and weight 1 the result is ``x``, bit by bit. At whole pixels, where
    the bilinear surface has a kink, the gradient of the offset is that of the
    cell towards larger coordinates.

    This is the depth-wise deformable convolution of SasMamba (weights by
    channel, no modulation, bias added by the caller) and the anchors of
    DF-Mamba (weights by token). Half precision is computed in float32 and a
    corner of weight zero is not read. A NaN place makes its token's channels of
    its group NaN, and no others. Forward and backward are deterministic,
    whatever the number of threads.

    Args:
        x: Tokens of a map, row by row: ``(N, L, E)`` with ``L = H * W``.
        offset: Offsets (rows, columns) in pixels, ``(N, L, G, M, 2)``, where
            each of ``G`` groups of ``E / G`` neighbouring channels has its own.
        weight: ``(N, L, G, M)`` by token or ``(E, M)`` by channel.
        anchors: Places relative to the token (rows, columns) in pixels,
            ``(M, 2)``. They are constants: no gradient reaches them.
        size: Height ``H`` and width ``W`` of the map.

    Returns:
        ``(N, L, E)`` in the dtype of ``x``, under autocast float32 (float64 for
        float64).

    Raises:
        TypeError: If a tensor is none, or not real floating-point, or some but
            not all are float64; or ``size`` is not two integers.
        ValueError: If a shape or device does not fit, or the requested backend
            has no such op.
        RuntimeError: If compiled kernels are required and cannot be used.

    Source:
        Dai et al., "Deformable Convolutional Networks", Eqs. 2 to 4; Cui et
        al., "SasMamba" (by channel), and "DF-Mamba" (by token).
    """
    rows, columns = check_deform_sample(x, offset, weight, anchors, size)
    dtype = state_dtype(x.dtype)
    # Lower precision would shift the places: offsets of pixels in large maps.
    wide = x.to(dtype), offset.to(dtype), weight.to(dtype), anchors.detach().to(dtype)
    chosen = choose('deform_sample', x.device)
    if chosen == 'native':
        y = torch.ops.mmssm.deform_sample(*wide, rows, columns)
    elif chosen == 'decomposed':
        y = decomposed.deform_sample(*wide, rows, columns)
    else:
        y = reference.deform_sample(*wide, rows, columns)
    device = x.device.type
    if device != 'meta' and torch.is_autocast_enabled(device):
        return y
    return y.to(x.dtype)


def check_deform_sample(
    x: Tensor, offset: Tensor, weight: Tensor, anchors: Tensor, size: tuple[int, int]
) -> tuple[int, int]:
    """Returns height and width; raises what `deform_sample` says it raises."""
    check_floats((), x=x, offset=offset, weight=weight, anchors=anchors)
    check_dims('x', x, 'N', 'L', 'E')
    check_dims('offset', offset, 'N', 'L', 'G', 'M', '2')
    if (
        not isinstance(size, tuple | list)
        or len(size) != 2
        or not all(isinstance(side, int | torch.SymInt) for side in size)
    ):
        raise TypeError(f'size must be two integers (H, W), got {size!r}')
    rows, columns = size
    N, L, E = x.shape
    if rows < 0 or columns < 0 or rows * columns != L:
        raise ValueError(
            f'size is {rows} x {columns}, a map of {rows * columns} tokens, but x has '
            f'L = {L}'
        )
    G, M = offset.shape[2:4]
    if G < 1 or E % G:
        raise ValueError(
            f'offset has G = {G} groups, which do not divide the E = {E} channels of x'
        )
    check_shape('offset', offset, N=N, L=L, G=G, M=M, **{'2': 2})
    check_shape('anchors', anchors, M=M, **{'2': 2})
    if weight.dim() == 2:
        check_shape('weight', weight, E=E, M=M)
    elif weight.dim() == 4:
        check_shape('weight', weight, N=N, L=L, G=G, M=M)
    else:
        raise ValueError(
            f'weight must be (N, L, G, M) = {(N, L, G, M)} by token or (E, M) = '
            f'{(E, M)} by channel, got {tuple(weight.shape)}'
        )
    return rows, columns


def register_deform_sample() -> None:
    """Gives the compiled op its fakes and its gradient."""
    name = 'mmssm::deform_sample'
    torch.library.register_fake(name, _fake)
    torch.library.register_autograd(name, _backward, setup_context=_setup_context)
    _native.register_backward('deform_sample_backward', _fake_backward)


def _fake(x: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape)


def _fake_backward(
    grad_y: Tensor,
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    anchors: Tensor,
    rows: int,
    columns: int,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape),
        offset.new_empty(offset.shape),
        weight.new_empty(weight.shape),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.rows, ctx.columns = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad_y: Tensor) -> tuple[Any, ...]:
    gradients = torch.ops.mmssm.deform_sample_backward(
        grad_y, *ctx.saved_tensors, ctx.rows, ctx.columns
    )
    return *gradients, None, None, None
