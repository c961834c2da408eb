"""PoseMamba: 2D-to-3D lifting of clips with bidirectional state-space blocks."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import nn

from mmssm.registry import MODELS

from ..layers import (
    SS2D,
    CausalSS2D,
    LocalMix,
    PathCache,
    cross_paths,
    frame_path,
    joint_path,
)
from .spatio_temporal_mamba import (
    SpatioTemporalMamba,
    resolve_scans,
    resolve_size,
)

ARCHITECTURES = {
    'small': {'embed_dims': 64, 'depth': 10},
    'base': {'embed_dims': 128, 'depth': 10},
    'large': {'embed_dims': 128, 'depth': 20},
    'xlarge': {'embed_dims': 256, 'depth': 20},
}
"""The sizes of the paper's Table 2, whose N counts both blocks of a pair."""


@MODELS.register_module()
class PoseMamba(SpatioTemporalMamba):
    """Backbone of PoseMamba: a clip of 2D poses in, joint features out.

    Each of the ``depth`` pairs holds a spatial and a temporal block of the same
    form: every block scans all ``T * J`` tokens frame by frame and joint by
    joint, forth and back. The spatial norm follows every spatial block and
    the temporal norm every temporal one; each is one module used at all depths.

    Args:
        arch: ``'small'``, ``'base'``, ``'large'`` or ``'xlarge'`` (the paper's
            S, B, L, X): sets ``embed_dims`` and ``depth``.
        embed_dims: Number of channels ``C``; with ``depth``, instead of
            ``arch``.
        depth: Number of pairs of blocks, half the paper's N.
        num_frames: Length of the temporal position table. Any shorter clip
            works as it is.
        num_joints: Number of joints ``J``.
        in_channels: Channels of the input that are used: 2 for x and y, 3 with
            the confidence.
        d_state: Number of states per channel.
        mlp_ratio: Hidden width of the MLPs over ``embed_dims``.
        drop_path_rate: Drop-path rate of the last pair; it rises from 0.
        local_scan: Whether the spatial scans read the global plus the local
            order; without, all scans read the features alone.
        local_order: For each joint's place, the joint that the spatial scans
            add to it. Default: the paper's, for the 17 Human3.6M joints; any
            other number of joints must bring its own.
        local_grad: ``'full'`` for the exact gradient of the local order,
            ``'identity'`` for the one of the authors' released code, which
            produced the published numbers.
        scans: Which of the four paths are scanned: ``'spatial'``,
            ``'temporal'``, ``'spatial_back'``, ``'temporal_back'``. Those left
            out keep their weights, so that the size stays the same. Default: all.
        interpolate_frames: Whether a clip longer than ``num_frames`` gets a
            linearly interpolated temporal table. Default: it is an error.
        causal: Whether to build the model that never looks at later frames, for
            streams (:meth:`step`) and clips of any length: a model of its own, with
            two of the four paths, to be trained as it is.
        init_cfg: Config of the initialisation. Default: PyTorch's own, as in
            the released code.

    Raises:
        ValueError: On an unknown ``arch``, on ``arch`` together with (or
            without) ``embed_dims`` and ``depth``, on a ``local_order`` that is
            missing or does not fit ``num_joints``, on unknown ``scans``, on
            ``causal`` together with ``scans`` or ``interpolate_frames``.

    Source:
        Huang et al., "PoseMamba: Monocular 3D Human Pose Estimation with
        Bidirectional Global-Local Spatio-Temporal State Space Model", Fig. 2.
    """

    def __init__(
        self,
        arch: str | None = None,
        embed_dims: int | None = None,
        depth: int | None = None,
        num_frames: int = 243,
        num_joints: int = 17,
        in_channels: int = 2,
        d_state: int = 16,
        mlp_ratio: float = 2.0,
        drop_path_rate: float = 0.2,
        local_scan: bool = True,
        local_order: Sequence[int] | None = None,
        local_grad: Literal['full', 'identity'] = 'full',
        scans: Sequence[str] | None = None,
        interpolate_frames: bool = False,
        causal: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        embed_dims, depth = resolve_size(
            'PoseMamba', ARCHITECTURES, arch, embed_dims, depth
        )
        used = resolve_scans(scans, causal)
        inner = 2 * embed_dims
        sources = (0, 1) if local_scan else (0, 0)
        paths = PathCache(partial(cross_paths, sources=sources, used=used))
        frame_paths, joint_paths = PathCache(frame_path), PathCache(joint_path)

        def make_mix() -> LocalMix | None:
            return LocalMix(num_joints, local_order, local_grad) if local_scan else None

        def make_mixer() -> SS2D:
            return SS2D(
                embed_dims,
                conv=nn.Conv2d(inner, inner, 3, padding=1, groups=inner),
                mix=make_mix(),
                paths=paths,
                used_paths=used,
                d_state=d_state,
            )

        def make_causal_mixer() -> CausalSS2D:
            # The same convolution, its three frames the last ones.
            return CausalSS2D(
                embed_dims,
                conv=nn.Conv2d(inner, inner, 3, padding=(0, 1), groups=inner),
                past_frames=2,
                mix=make_mix(),
                sources=sources,
                frame_paths=frame_paths,
                joint_paths=joint_paths,
                d_state=d_state,
            )

        super().__init__(
            make_causal_mixer if causal else make_mixer,
            embed_dims,
            depth,
            num_frames=num_frames,
            num_joints=num_joints,
            in_channels=in_channels,
            mlp_ratio=mlp_ratio,
            drop_path_rate=drop_path_rate,
            interpolate_frames=interpolate_frames,
            causal=causal,
            init_cfg=init_cfg,
        )
