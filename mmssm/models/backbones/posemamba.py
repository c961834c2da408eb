"""PoseMamba: 2D-to-3D lifting of clips with bidirectional state-space blocks."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from mmpose.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from mmssm.registry import MODELS

from ..layers import SS2D, PathCache, VSSBlock, cross_paths

ARCHITECTURES = {
    'small': {'embed_dims': 64, 'depth': 10},
    'base': {'embed_dims': 128, 'depth': 10},
    'large': {'embed_dims': 128, 'depth': 20},
    'xlarge': {'embed_dims': 256, 'depth': 20},
}
"""The sizes of the paper's Table 2, whose N counts both blocks of a pair."""

H36M_LOCAL_ORDER = (0, 0, 1, 2, 3, 0, 4, 5, 6, 8, 11, 12, 13, 8, 14, 15, 16)
"""Limb by limb on the Human3.6M joints: pelvis, then the chains from the pelvis
down the right and the left leg and from the thorax down the left and the right
arm. Spine, neck and head do not occur."""


class LocalMix(nn.Module):
    """PoseMamba's two scan inputs: global plus local order, and the features.

    The first, read by the spatial paths, is ``x + x[..., local_order, :]``;
    the second, read by the temporal paths, is ``x``.

    Args:
        local_order: For each joint's place, the joint that is added to it.
        grad: ``'full'`` for the exact gradient; ``'identity'`` leaves out the
            part through the reordered term, as the authors' released training
            code does. The forward pass is the same.
    """

    local_order: Tensor

    def __init__(
        self, local_order: Sequence[int], grad: Literal['full', 'identity']
    ) -> None:
        super().__init__()
        self.grad = grad
        self.register_buffer('local_order', torch.tensor(local_order), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Makes the two inputs of features ``(N, T, J, E)``."""
        reordered = x.detach() if self.grad == 'identity' else x
        return x + reordered.index_select(2, self.local_order), x


@MODELS.register_module()
class PoseMamba(BaseBackbone):
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
        local_order: For each joint's place, the joint that the spatial scans
            add to it. Default: the paper's, for the 17 Human3.6M joints; any
            other number of joints must bring its own.
        local_grad: ``'full'`` for the exact gradient of the local order,
            ``'identity'`` for the one of the authors' released code, which
            produced the published numbers.
        interpolate_frames: Whether a clip longer than ``num_frames`` gets a
            linearly interpolated temporal table. Default: it is an error.
        init_cfg: Config of the initialisation. Default: PyTorch's own, as in
            the released code.

    Raises:
        ValueError: On an unknown ``arch``, on ``arch`` together with (or
            without) ``embed_dims`` and ``depth``, on a ``local_order`` that is
            missing or does not fit ``num_joints``.

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
        local_order: Sequence[int] | None = None,
        local_grad: Literal['full', 'identity'] = 'full',
        interpolate_frames: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        embed_dims, depth = _resolve_size(arch, embed_dims, depth)
        local_order = _check_local_order(local_order, num_joints)
        if in_channels not in (2, 3):
            raise ValueError(
                'PoseMamba lifts 2D poses: in_channels must be 2 (x, y) or 3 (x, y, '
                f'confidence), got {in_channels}'
            )
        if local_grad not in ('full', 'identity'):
            raise ValueError(
                f"local_grad must be 'full' or 'identity', got {local_grad!r}"
            )
        self.embed_dims = embed_dims
        self.num_frames = num_frames
        self.num_joints = num_joints
        self.in_channels = in_channels
        self.interpolate_frames = interpolate_frames

        self.embed = nn.Linear(in_channels, embed_dims)
        self.joint_pos = nn.Parameter(torch.zeros(1, num_joints, embed_dims))
        self.frame_pos = nn.Parameter(torch.zeros(1, num_frames, embed_dims))
        for table in (self.joint_pos, self.frame_pos):
            table._no_weight_decay = True  # type: ignore[attr-defined]

        paths = PathCache(partial(cross_paths, sources=(0, 1)))

        def block(drop_path_rate: float) -> VSSBlock:
            inner = 2 * embed_dims
            mixer = SS2D(
                embed_dims,
                conv=nn.Conv2d(inner, inner, 3, padding=1, groups=inner),
                mix=LocalMix(local_order, local_grad),
                paths=paths,
                d_state=d_state,
            )
            return VSSBlock(embed_dims, mixer, mlp_ratio, drop_path_rate)

        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]
        self.spatial_blocks = nn.ModuleList(block(rate) for rate in rates)
        self.temporal_blocks = nn.ModuleList(block(rate) for rate in rates)
        self.spatial_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.temporal_norm = nn.LayerNorm(embed_dims, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Encodes clips.

        Args:
            x: 2D joints ``(N, T, J, C_in)`` in normalised image coordinates.
                With ``in_channels=2``, a third channel (the confidence) is
                accepted and left out.

        Returns:
            Features ``(N, T, J, embed_dims)``.

        Raises:
            ValueError: If the input has another shape, is longer than the
                temporal table, or holds NaN or infinity (looked at on the CPU
                only: on another device the look would wait for it).
        """
        self._check_input(x)
        x = self.embed(x[..., : self.in_channels]) + self.joint_pos
        frame_pos = self._frame_table(x.shape[1]).unsqueeze(2)
        pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        for depth, (spatial_block, temporal_block) in enumerate(pairs):
            x = self.spatial_norm(spatial_block(x))
            if depth == 0:
                x = x + frame_pos
            x = self.temporal_norm(temporal_block(x))
        return x

    def train(self, mode: bool = True) -> 'PoseMamba':
        """Sets training mode and returns the module.

        MMPose's ``BaseBackbone.train`` returns None, which breaks
        ``model = model.eval()``.
        """
        super().train(mode)
        return self

    def _frame_table(self, num_frames: int) -> Tensor:
        """The temporal table ``(1, num_frames, C)``."""
        if num_frames <= self.num_frames:
            return self.frame_pos[:, :num_frames]
        table = self.frame_pos.transpose(1, 2)
        table = F.interpolate(table, num_frames, mode='linear', align_corners=True)
        return table.transpose(1, 2)

    def _check_input(self, x: Tensor) -> None:
        channels = (2, 3) if self.in_channels == 2 else (3,)
        if x.ndim != 4 or x.shape[2] != self.num_joints or x.shape[3] not in channels:
            expected = ' or '.join(map(str, channels))
            raise ValueError(
                'PoseMamba expects 2D joints of shape (clips, frames, '
                f'{self.num_joints}, {expected}), got {tuple(x.shape)}; another '
                'skeleton needs a model built with its num_joints and local_order'
            )
        if x.shape[1] == 0:
            raise ValueError('PoseMamba was given clips without frames')
        if x.shape[1] > self.num_frames and not self.interpolate_frames:
            raise ValueError(
                f'a clip has {x.shape[1]} frames, the temporal table of this '
                f'PoseMamba {self.num_frames}: cut the clip into windows, or set '
                'interpolate_frames=True to stretch the table'
            )
        readable = x.device.type == 'cpu' and not torch.compiler.is_compiling()
        if readable and not torch.isfinite(x).all():
            clip, frame, joint = torch.nonzero(~torch.isfinite(x))[0, :3].tolist()
            raise ValueError(
                'PoseMamba was given NaN or infinite 2D joints, first in clip '
                f'{clip}, frame {frame}, joint {joint}; fill in missing detections '
                'before lifting'
            )


def _resolve_size(
    arch: str | None, embed_dims: int | None, depth: int | None
) -> tuple[int, int]:
    if arch is not None and embed_dims is None and depth is None:
        if arch not in ARCHITECTURES:
            raise ValueError(
                f'unknown arch {arch!r} of PoseMamba; there are {list(ARCHITECTURES)}'
            )
        return ARCHITECTURES[arch]['embed_dims'], ARCHITECTURES[arch]['depth']
    if arch is None and embed_dims is not None and depth is not None:
        return embed_dims, depth
    raise ValueError(
        'PoseMamba takes either arch or both embed_dims and depth, got '
        f'arch={arch!r}, embed_dims={embed_dims}, depth={depth}'
    )


def _check_local_order(
    local_order: Sequence[int] | None, num_joints: int
) -> Sequence[int]:
    if local_order is None:
        if num_joints != len(H36M_LOCAL_ORDER):
            raise ValueError(
                f'a skeleton of {num_joints} joints needs its own local_order: for '
                "each place, the joint added to it (the default is Human3.6M's, "
                f'{list(H36M_LOCAL_ORDER)})'
            )
        return H36M_LOCAL_ORDER
    if len(local_order) != num_joints or not all(
        0 <= joint < num_joints for joint in local_order
    ):
        raise ValueError(
            f'local_order must hold {num_joints} joint indices from 0 to '
            f'{num_joints - 1}, got {list(local_order)}'
        )
    return local_order
