"""SS2D without a look ahead: what a clip's frame becomes depends on its past alone."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmssm.ops import ScanPaths

from .s6 import S6
from .stream_state import LayerState


class CausalSS2D(nn.Module):
    """State-space operator on a clip that never looks at later frames.

    As `SS2D` with a gate, but for three parts: two paths instead of four, frame by
    frame and along each joint, both forth; the path along a joint begins anew at
    every joint; the convolution has frames padded on the side of the past only.
    Therefore a clip may come in pieces, down to single frames: a `LayerState`
    carries the states of both scans and the frames that the convolution still
    reads. A whole clip is one piece, so both ways are one computation.

    Args:
        embed_dims: Number of channels ``C`` in and out.
        frame_paths: Gives the path frame by frame, of ``(frames, joints, device)``.
        joint_paths: Gives the path joint by joint, with a segment for each.
        conv: Mixing before the scans: a module from ``(N, E, P + T, J)`` to
            ``(N, E, T, J)`` that reads of a frame and the ``P`` before it. Default:
            none.
        past_frames: Number ``P`` of earlier frames that ``conv`` reads.
        mix: What the scans read: a callable from ``(N, T, J, E)`` to a tuple of
            such tensors, of joints of the same frame. Default: the features
            themselves.
        sources: Which of these tensors the scan by frames reads, and which the one
            by joints.
        ssm_ratio: Inner width over ``embed_dims``.
        d_state: Number of states per channel.
        dt_rank: Rank of the step-size projection. Default: ``embed_dims / 16``,
            rounded up.
    """

    def __init__(
        self,
        embed_dims: int,
        *,
        frame_paths: Callable[[int, int, torch.device], ScanPaths],
        joint_paths: Callable[[int, int, torch.device], ScanPaths],
        conv: nn.Module | None = None,
        past_frames: int = 0,
        mix: Callable[[Tensor], Sequence[Tensor]] | None = None,
        sources: tuple[int, int] = (0, 0),
        ssm_ratio: float = 2.0,
        d_state: int = 16,
        dt_rank: int | None = None,
    ) -> None:
        super().__init__()
        inner = int(ssm_ratio * embed_dims)
        dt_rank = dt_rank or math.ceil(embed_dims / 16)
        self.past_frames = past_frames
        self.sources = sources
        self.frame_paths = frame_paths
        self.joint_paths = joint_paths
        self.in_proj = nn.Linear(embed_dims, 2 * inner, bias=False)
        self.conv = conv if conv is not None else nn.Identity()
        self.mix = mix
        self.frame_scan = S6(inner, 1, d_state, dt_rank)
        self.joint_scan = S6(inner, 1, d_state, dt_rank)
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, embed_dims, bias=False)

    def init_state(
        self, batch_size: int, joints: int, device: torch.device, dtype: torch.dtype
    ) -> LayerState:
        """The state before the first frame: zeros.

        Args:
            batch_size: Number of clips ``N``.
            joints: Number of joints ``J``.
            device: Device of the tensors.
            dtype: Dtype of the features. Scans keep their states in float32, those
                of float64 in float64.
        """
        _, inner, d_state = self.frame_scan.A_log.shape
        wide = torch.promote_types(dtype, torch.float32)
        return LayerState(
            torch.zeros(
                batch_size, inner, self.past_frames, joints, device=device, dtype=dtype
            ),
            torch.zeros(batch_size, 1, inner, d_state, device=device, dtype=wide),
            torch.zeros(
                batch_size, 1, joints, inner, d_state, device=device, dtype=wide
            ),
        )

    def forward(self, x: Tensor, state: LayerState | None = None) -> Tensor:
        """Applies the operator to a clip, or to the next frames of one.

        Args:
            x: Features ``(N, T, J, C)``.
            state: What is kept of the frames before these; it is brought up to
                date. Default: these are the first.

        Returns:
            Features of the same shape.
        """
        clips, frames, joints = x.shape[:3]
        if state is None:
            state = self.init_state(clips, joints, x.device, x.dtype)
        x, z = self.in_proj(x).chunk(2, dim=-1)
        x = F.silu(self._convolve(x.permute(0, 3, 1, 2), state)).permute(0, 2, 3, 1)
        read = (x,) if self.mix is None else self.mix(x)
        by_frame, by_joint = (read[source].flatten(1, 2) for source in self.sources)
        y, state.frame_scan = self.frame_scan(
            [by_frame],
            self.frame_paths(frames, joints, x.device),
            initial_state=state.frame_scan,
            return_last_state=True,
        )
        y_along, state.joint_scan = self.joint_scan(
            [by_joint],
            self.joint_paths(frames, joints, x.device),
            initial_state=state.joint_scan,
            return_last_state=True,
        )
        y = self.out_norm(y + y_along).unflatten(1, (frames, joints))
        return self.out_proj(y * F.silu(z))

    def _convolve(self, x: Tensor, state: LayerState) -> Tensor:
        if not self.past_frames:
            return self.conv(x)
        x = torch.cat([state.past.to(x.dtype), x], dim=2)
        # A view would keep all frames of the piece in memory.
        state.past = x[:, :, -self.past_frames :].to(state.past.dtype, copy=True)
        return self.conv(x)

    def extra_repr(self) -> str:
        """Shows the choices in ``print(model)``."""
        return f'past_frames={self.past_frames}, sources={self.sources}'
