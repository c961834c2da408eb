"""What the lifters of clips with state-space blocks have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import cast

import torch
import torch.nn.functional as F
from mmpose.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from ..layers import CausalSS2D, StreamState, VSSBlock

SCANS = ('spatial', 'temporal', 'spatial_back', 'temporal_back')
"""The four paths by name: frame by frame, joint by joint, and both backwards."""


class SpatioTemporalMamba(BaseBackbone):
    """Trunk of PoseMamba and SasMamba: a clip of 2D poses in, joint features out.

    Each of the ``depth`` pairs holds a spatial and a temporal block of the same
    form around a token mixer. The spatial norm follows every spatial block and
    the temporal norm every temporal one; each is one module used at all depths.

    Around mixers that never look ahead (``causal``) the whole trunk does not: norms
    and MLPs are of single tokens. Then clips may have any length: frames behind the
    end of the temporal table have its last position. That position stands for "at
    least so much past", is the same however a clip is cut into pieces, and moves
    nothing that came before. Such a model also takes one frame after the other::

        state = backbone.init_stream()
        for frame in frames:  # each (1, J, C_in)
            features = backbone.step(frame, state)

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
        causal: Whether the mixers are of `CausalSS2D`.
        init_cfg: Config of the initialisation.

    Raises:
        ValueError: If ``in_channels`` is not 2 or 3, or on ``causal`` together with
            ``interpolate_frames``.
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
        causal: bool,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg)
        if in_channels not in (2, 3):
            raise ValueError(
                f'{self._name} lifts 2D poses: in_channels must be 2 (x, y) or 3 (x, '
                f'y, confidence), got {in_channels}'
            )
        if causal and interpolate_frames:
            raise ValueError(
                'interpolate_frames=True gives a frame a position that depends on how '
                'many follow, which causal=True cannot know; leave it out: the table '
                'of a causal model goes on by its last position'
            )
        self.embed_dims = embed_dims
        self.causal = causal
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
                accepted and left out. A causal model takes any length.

        Returns:
            Features ``(N, T, J, embed_dims)``.

        Raises:
            ValueError: If the input has another shape, is longer than the
                temporal table, or holds NaN or infinity (looked at on the CPU
                only: on another device the look would wait for it).
        """
        self._check_input(x)
        if self.causal:
            return self._go_on(x, self.init_stream(x.shape[0], x.device, x.dtype))
        return self._encode(x, self._frame_table(x.shape[1]), repeat(()))

    def init_stream(
        self,
        batch_size: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> StreamState:
        """Begins streams of a causal model, for :meth:`step`.

        Args:
            batch_size: Number of streams ``N``, such as people.
            device: Device of the state. Default: that of the model.
            dtype: Dtype of the frames. Default: that of the model.

        Returns:
            The state before the first frame.

        Raises:
            ValueError: If the model is not causal, or there is no stream.
        """
        self._check_causal()
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        device = torch.device(device or self.joint_pos.device)
        dtype = dtype or self.joint_pos.dtype
        return StreamState(
            torch.zeros(batch_size, dtype=torch.int64, device=device),
            [
                mixer.init_state(batch_size, self.num_joints, device, dtype)
                for mixer in self._mixers()
            ],
        )

    @torch.no_grad()
    def step(self, x: Tensor, state: StreamState) -> Tensor:
        """Encodes the next frame of each stream, as `forward` encodes whole clips.

        Of earlier frames only what ``state`` holds is used, so that time and memory
        do not grow. No gradients are kept.

        Args:
            x: 2D joints of one frame ``(N, J, C_in)``, as in `forward`; or of some
                successive frames ``(N, T, J, C_in)``.
            state: Of :meth:`init_stream`; it is brought up to date.

        Returns:
            Features ``(N, J, embed_dims)``, or ``(N, T, J, embed_dims)``.

        Raises:
            ValueError: If the model is not causal, the input has another shape or
                another number of streams than the state, or holds NaN or infinity.
        """
        self._check_causal()
        frames = x.unsqueeze(1) if x.ndim == 3 else x
        self._check_input(frames)
        if x.shape[0] != state.batch_size:
            raise ValueError(
                f'the state is of {state.batch_size} streams, the frame of '
                f'{x.shape[0]}; each stream has its row in both'
            )
        y = self._go_on(frames, state)
        return y.squeeze(1) if x.ndim == 3 else y

    def _go_on(self, x: Tensor, state: StreamState) -> Tensor:
        """Encodes the next frames of clips, and brings their state up to date."""
        frames = x.shape[1]
        place = state.seen[:, None] + torch.arange(frames, device=x.device)
        frame_pos = self.frame_pos[0, place.clamp(max=self.num_frames - 1)]
        state.seen = (state.seen + frames).clamp(max=self.num_frames)
        return self._encode(x, frame_pos, ((layer,) for layer in state.layers))

    def _encode(self, x: Tensor, frame_pos: Tensor, states: Iterable[tuple]) -> Tensor:
        """Runs all blocks, with the positions ``(N or 1, T, C)`` of the frames."""
        x = self.embed(x[..., : self.in_channels]) + self.joint_pos
        pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        state = iter(states)
        for depth, (spatial_block, temporal_block) in enumerate(pairs):
            x = self.spatial_norm(spatial_block(x, *next(state)))
            if depth == 0:
                x = x + frame_pos.unsqueeze(2)
            x = self.temporal_norm(temporal_block(x, *next(state)))
        return x

    def _mixers(self) -> list[CausalSS2D]:
        """The mixers in the order in which they run."""
        pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        return [cast(CausalSS2D, block.mixer) for pair in pairs for block in pair]

    def _check_causal(self) -> None:
        if not self.causal:
            raise ValueError(
                f'this {self._name} looks at later frames and cannot go frame by '
                'frame; build it with causal=True and train it so'
            )

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
        has_end = not (self.causal or self.interpolate_frames)
        if x.shape[1] > self.num_frames and has_end:
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


def resolve_scans(scans: Sequence[str] | None, causal: bool) -> tuple[int, ...]:
    """Gives the places of named paths in :data:`SCANS`, in its order.

    Args:
        scans: The names. Default: all.
        causal: Whether the model is causal, which has its own two paths.

    Raises:
        ValueError: If there is none, a name is unknown or there twice, or the model
            is causal.
    """
    if causal and scans is not None:
        raise ValueError(
            'causal=True has two paths of its own, frame by frame and along each '
            f'joint; leave out scans, got {list(scans)}'
        )
    scans = SCANS if scans is None else scans
    if not scans or len(set(scans)) < len(scans) or not set(scans) <= set(SCANS):
        raise ValueError(
            f'scans must hold different names of {list(SCANS)}, got {list(scans)}'
        )
    return tuple(place for place, name in enumerate(SCANS) if name in scans)
