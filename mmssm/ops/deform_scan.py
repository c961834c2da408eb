"""One scan over the tokens of a map whose input is sampled at predicted places."""

from torch import Tensor

from . import reference
from ._backend import choose
from ._checks import state_dtype
from .deform_sample import check_deform_sample, deform_sample
from .path_scan import Tensors, check_path_scan, default_output_dtype, path_scan
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
    if choose('deform_scan', x.device) == 'reference':
        sampling = (t.to(dtype) for t in (offset, weight, anchors.detach()))
        y = reference.deform_scan(x, *sampling, rows, columns, *tensors[1:-1], paths)
        return y.to(out_dtype)
    u = deform_sample(x.to(dtype), offset, weight, anchors, size)
    y = path_scan(u, dt, A, B, C, None, dt_bias, paths, dt_weight=dt_weight)
    if D is not None:
        y = y + D.to(dtype).sum(0) * x
    return y.to(out_dtype)
