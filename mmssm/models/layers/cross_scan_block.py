"""VMamba's block: a cross scan, then an MLP."""

from collections.abc import Callable

import torch
from torch import nn

from mmssm.ops import ScanPaths

from .ss2d import SS2D
from .vss_block import VSSBlock


def cross_scan_block(
    embed_dims: int,
    paths: Callable[[int, int, torch.device], ScanPaths],
    *,
    num_paths: int = 4,
    ssm_ratio: float = 2.0,
    d_state: int = 1,
    mlp_ratio: float = 4.0,
    drop_path_rate: float = 0.0,
) -> VSSBlock:
    """The block of VMamba without gate: a 3 x 3 depth-wise convolution, a scan.

    Args:
        embed_dims: Number of channels ``C``.
        paths: Gives the ``ScanPaths`` of ``(rows, columns, device)``.
        num_paths: Number of those paths.
        ssm_ratio: Width inside the scan over ``embed_dims``.
        d_state: Number of states per channel.
        mlp_ratio: Hidden width of the MLP over ``embed_dims``.
        drop_path_rate: Chance that a sample skips a branch in training.

    Returns:
        A block from ``(N, rows, columns, C)`` to the same shape.

    Source:
        Liu et al., "VMamba: Visual State Space Model" (NeurIPS 2024), in the
        version that its code calls "noz".
    """
    inner = int(ssm_ratio * embed_dims)
    conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False)
    mixer = SS2D(
        embed_dims,
        conv=conv,
        paths=paths,
        num_paths=num_paths,
        gate=False,
        ssm_ratio=ssm_ratio,
        d_state=d_state,
    )
    return VSSBlock(embed_dims, mixer, mlp_ratio, drop_path_rate, norm_eps=1e-5)
