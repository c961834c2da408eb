"""SasMamba: lifting with deformable convolutions and strides over the joints."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import nn

from mmssm.registry import MODELS
from mmssm.structures import h36m

from ..layers import (
    SS2D,
    CausalDeformDWConv2d,
    CausalSS2D,
    DeformDWConv2d,
    GraphConv,
    LocalMix,
    PathCache,
    StrideMix,
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
    'base': {'embed_dims': 64, 'depth': 5},
    'large': {'embed_dims': 128, 'depth': 10},
}
"""The sizes of the paper, whose L counts both blocks of a pair."""


@MODELS.register_module()
class SasMamba(SpatioTemporalMamba):
    """Backbone of SasMamba: PoseMamba's trunk and block with two other parts.

    The depth-wise convolution is deformable (SA-Conv), and the spatial scans
    read the features held at every second and third joint besides the features
    themselves, in the place of PoseMamba's local order.

    Args:
        arch: ``'base'`` or ``'large'``: sets ``embed_dims`` and ``depth``.
        embed_dims: Number of channels ``C``; with ``depth``, instead of
            ``arch``.
        depth: Number of pairs of blocks, half the paper's L.
        num_frames: Length of the temporal position table. Any shorter clip
            works as it is.
        num_joints: Number of joints ``J``.
        in_channels: Channels of the input that are used: 2 for x and y, 3 with
            the confidence.
        d_state: Number of states per channel.
        mlp_ratio: Hidden width of the MLPs over ``embed_dims``.
        drop_path_rate: Drop-path rate of the last pair; it rises from 0.
        structure_conv: ``'deformable'``, ``'graph'`` (a graph convolution over
            the skeleton, for the paper's Table 4) or ``None``.
        kernel_size: Side of the deformable window, odd. With 1 there is no
            convolution at all, as in the released code.
        bones: Pairs of neighbouring joints, for ``'graph'``. Default: those of
            the 17 Human3.6M joints.
        stride_mode: ``'sum'``: the spatial scans read the sum over the strides,
            as released. ``'split'``: all scans read the channels in parts, one
            for each stride, as printed (Eqs. 12 to 15). Neither has parameters:
            weights load into both.
        strides: The strides over the joints. ``(1,)`` leaves plain scans.
        stride_grad: ``'full'`` for the exact gradient, ``'identity'`` for the
            one of the released code (``'sum'`` only).
        scans: Which of the four paths are scanned: ``'spatial'``,
            ``'temporal'``, ``'spatial_back'``, ``'temporal_back'``. Those left
            out keep their weights, so that the size stays the same. Default: all.
        local_order: Scan PoseMamba's local-global order in the place of the
            strides: for each joint's place, the joint that is added to it.
            Default: strides.
        interpolate_frames: Whether a clip longer than ``num_frames`` gets a
            linearly interpolated temporal table. Default: it is an error.
        causal: Whether to build the model that never looks at later frames, for
            streams (:meth:`step`) and clips of any length: a model of its own, with
            two of the four paths, to be trained as it is.
        init_cfg: Config of the initialisation. Default: PyTorch's own, as in
            the released code.

    Raises:
        ValueError: On an unknown ``arch``, on ``arch`` together with (or
            without) ``embed_dims`` and ``depth``, and on parts that do not go
            together, such as ``causal`` with ``scans``.

    Source:
        Cui et al., "SasMamba: A Lightweight Structure-Aware Stride State Space
        Model for 3D Human Pose Estimation" (WACV 2026). The defaults are the
        authors' released code where it differs from the paper, but for the
        gradient.
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
        structure_conv: Literal['deformable', 'graph'] | None = 'deformable',
        kernel_size: int = 3,
        bones: Sequence[tuple[int, int]] | None = None,
        stride_mode: Literal['sum', 'split'] = 'sum',
        strides: Sequence[int] = (1, 2, 3),
        stride_grad: Literal['full', 'identity'] = 'full',
        scans: Sequence[str] | None = None,
        local_order: Sequence[int] | None = None,
        interpolate_frames: bool = False,
        causal: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        embed_dims, depth = resolve_size(
            'SasMamba', ARCHITECTURES, arch, embed_dims, depth
        )
        used = resolve_scans(scans, causal)
        mix: LocalMix | StrideMix
        if local_order is not None:
            mix = LocalMix(num_joints, local_order, stride_grad)
        else:
            mix = StrideMix(num_joints, strides, stride_mode, stride_grad)
        paths = PathCache(partial(cross_paths, sources=mix.sources, used=used))
        frame_paths, joint_paths = PathCache(frame_path), PathCache(joint_path)

        def make_conv() -> nn.Module | None:
            window = CausalDeformDWConv2d if causal else DeformDWConv2d
            return _make_conv(
                structure_conv, 2 * embed_dims, kernel_size, num_joints, bones, window
            )

        def make_mixer() -> SS2D:
            return SS2D(
                embed_dims,
                conv=make_conv(),
                mix=mix,
                paths=paths,
                used_paths=used,
                d_state=d_state,
            )

        def make_causal_mixer() -> CausalSS2D:
            conv = make_conv()
            return CausalSS2D(
                embed_dims,
                conv=conv,
                # A graph convolution is of single frames.
                past_frames=getattr(conv, 'past_frames', 0),
                mix=mix,
                sources=mix.sources,
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


def _make_conv(
    kind: str | None,
    channels: int,
    kernel_size: int,
    num_joints: int,
    bones: Sequence[tuple[int, int]] | None,
    window: type[DeformDWConv2d],
) -> nn.Module | None:
    """Makes the part before the scan."""
    if bones is not None and kind != 'graph':
        raise ValueError(
            f"bones are of structure_conv='graph' alone, but structure_conv is {kind!r}"
        )
    if kind is None:
        return None
    if kind == 'deformable':
        return None if kernel_size == 1 else window(channels, kernel_size)
    if kind != 'graph':
        raise ValueError(
            f"structure_conv must be 'deformable', 'graph' or None, got {kind!r}"
        )
    if bones is None:
        if num_joints != h36m.NUM_JOINTS:
            raise ValueError(
                f'a graph convolution over {num_joints} joints needs their bones (the '
                "default is Human3.6M's 17 joints)"
            )
        bones = h36m.SKELETON
    return GraphConv(channels, num_joints, bones)
