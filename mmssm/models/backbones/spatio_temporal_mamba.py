"""What the lifters of clips with state-space blocks have in common."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from mmpose.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from ..layers import VSSBlock

SCANS = ('spatial', 'temporal', 'spatial_back', 'temporal_back')
"""The four paths by name: frame by frame, joint by joint, and both backwards."""


class SpatioTemporalMamba(BaseBackbone):
    """Trunk of PoseMamba and SasMamba: a clip of 2D poses in, joint features out.

    Each of the ``depth`` pairs holds a spatial and a temporal block of the same
    form around a token mixer. The spatial norm follows every spatial block and
    the temporal norm every temporal one; each is one module used at all depths.

    Args:
        make_mixer: Makes the token mixer of one block, from ``(N, T, J, C)`` to
            the same.
        embed_dims: Number of channels ``C``.
        depth: Number of pairs of blocks.
        num_frames: Length of the temporal position table.
        num_joints: Number of joints ``J``.
        in_channels: Channels of the input that are used: 2 or 3.
        mlp_ratio: Hidden width of the MLPs over ``embed_dims``.
        drop_path_rate: Drop-path rate of the last pair; it rises from 0.
        interpolate_frames: Whether a clip longer than ``num_frames`` gets a
            linearly interpolated temporal table. Default: it is an error.
        init_cfg: Config of the initialisation.

    Raises:
        ValueError: If ``in_channels`` is not 2 or 3.
    """

    def __init__(
        self,
        make_mixer: Callable[[], nn.Module],
        embed_dims: int,
        depth: int,
        num_frames: int,
        num_joints: int,
        in_channels: int,
        mlp_ratio: float,
        drop_path_rate: float,
        interpolate_frames: bool,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg)
        if in_channels not in (2, 3):
            raise ValueError(
                f'{self._name} lifts 2D poses: in_channels must be 2 (x, y) or 3 (x, '
                f'y, confidence), got {in_channels}'
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

        rates = [drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]
        self.spatial_blocks, self.temporal_blocks = (
            nn.ModuleList(
                VSSBlock(embed_dims, make_mixer(), mlp_ratio, rate) for rate in rates
            )
            for _ in range(2)
        )
        self.spatial_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.temporal_norm = nn.LayerNorm(embed_dims, eps=1e-6)

    @property
    def _name(self) -> str:
        return type(self).__name__

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

    def train(self, mode: bool = True) -> 'SpatioTemporalMamba':
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
                f'{self._name} expects 2D joints of shape (clips, frames, '
                f'{self.num_joints}, {expected}), got {tuple(x.shape)}; another '
                'skeleton needs a model built with its num_joints'
            )
        if x.shape[1] == 0:
            raise ValueError(f'{self._name} was given clips without frames')
        if x.shape[1] > self.num_frames and not self.interpolate_frames:
            raise ValueError(
                f'a clip has {x.shape[1]} frames, the temporal table of this '
                f'{self._name} {self.num_frames}: cut the clip into windows, or set '
                'interpolate_frames=True to stretch the table'
            )
        readable = x.device.type == 'cpu' and not torch.compiler.is_compiling()
        if readable and not torch.isfinite(x).all():
            clip, frame, joint = torch.nonzero(~torch.isfinite(x))[0, :3].tolist()
            raise ValueError(
                f'{self._name} was given NaN or infinite 2D joints, first in clip '
                f'{clip}, frame {frame}, joint {joint}; fill in missing detections '
                'before lifting'
            )


def resolve_size(
    name: str,
    architectures: Mapping[str, Mapping[str, int]],
    arch: str | None,
    embed_dims: int | None,
    depth: int | None,
) -> tuple[int, int]:
    """Gives ``embed_dims`` and ``depth`` by the name of a size, or as they are.

    Args:
        name: Name of the model, for the error.
        architectures: Its sizes by name.
        arch: Name of a size, or None.
        embed_dims: Width, or None with ``arch``.
        depth: Number of pairs, or None with ``arch``.

    Raises:
        ValueError: On an unknown name, or on both or neither way.
    """
    if arch is not None and embed_dims is None and depth is None:
        if arch not in architectures:
            raise ValueError(
                f'unknown arch {arch!r} of {name}; there are {list(architectures)}'
            )
        return architectures[arch]['embed_dims'], architectures[arch]['depth']
    if arch is None and embed_dims is not None and depth is not None:
        return embed_dims, depth
    raise ValueError(
        f'{name} takes either arch or both embed_dims and depth, got '
        f'arch={arch!r}, embed_dims={embed_dims}, depth={depth}'
    )


def resolve_scans(scans: Sequence[str]) -> tuple[int, ...]:
    """Gives the places of named paths in :data:`SCANS`, in its order.

    Raises:
        ValueError: If there is none, or a name is unknown or there twice.
    """
    if not scans or len(set(scans)) < len(scans) or not set(scans) <= set(SCANS):
        raise ValueError(
            f'scans must hold different names of {list(SCANS)}, got {list(scans)}'
        )
    return tuple(place for place, name in enumerate(SCANS) if name in scans)
