"""VMamba: a pyramid of cross-scan state-space blocks over images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmpose.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmssm.registry import MODELS

from ..layers import DownConv, PathCache, cross_paths, cross_scan_block


@dataclass(frozen=True)
class Architecture:
    """One size of VMamba.

    Attributes:
        embed_dims: Channels of the first stage; each further one doubles them.
        depths: Number of blocks of each stage.
        ssm_ratio: Width inside the scans over the stage's.
        drop_path_rate: Drop-path rate with which it was trained on ImageNet.
    """

    embed_dims: int
    depths: tuple[int, ...]
    ssm_ratio: float
    drop_path_rate: float


ARCHITECTURES = {
    'tiny': Architecture(96, (2, 2, 8, 2), 1.0, 0.2),
    'small': Architecture(96, (2, 2, 15, 2), 2.0, 0.3),
    'base': Architecture(128, (2, 2, 15, 2), 2.0, 0.6),
    'tiny-s2l5': Architecture(96, (2, 2, 5, 2), 2.0, 0.2),
    'small-s1l20': Architecture(96, (2, 2, 20, 2), 1.0, 0.3),
    'base-s1l20': Architecture(128, (2, 2, 20, 2), 1.0, 0.5),
}
"""The published sizes: the paper's T, S and B (in the authors' code ``tiny_s1l8``,
``small_s2l15`` and ``base_s2l15``), then the other three of that code."""


@MODELS.register_module()
class VMamba(BaseBackbone):
    """Backbone of VMamba: an image in, maps at strides 4, 8, 16 and 32 out.

    A stem of two strided convolutions, then stages of blocks with a halving
    convolution between them. Every block scans the map row by row and column by
    column, forth and back, without a gate and with one state per channel; an MLP
    follows. The map of a stage is taken after its last block, through a norm of
    its own. Any size of image works as it is; odd sides are rounded up.

    Args:
        arch: Name of a size in :data:`ARCHITECTURES`. What is given beside it
            stands in the place of its values.
        embed_dims: Channels of the first stage; each further one doubles them.
        depths: Number of blocks of each stage.
        ssm_ratio: Width inside the scans over the stage's.
        in_channels: Channels of the image.
        d_state: Number of states per channel.
        mlp_ratio: Hidden width of the MLPs over the stage's.
        drop_path_rate: Drop-path rate of the last block; it rises from 0. Default:
            that of the size.
        out_indices: The stages whose maps are given out, from 0, ascending. A head
            that reads the last map alone wants ``(3,)``.
        frozen_stages: Up to which stage nothing is trained: 0 for the stem alone,
            1 to 4 for as many stages, -1 for nothing. The norms of the outputs
            are trained in any case: ImageNet weights have none but the last.
        with_cp: Whether blocks run again in the backward pass instead of keeping
            what is inside them: less memory for more time.
        init_cfg: Config of the initialisation. Default: linear layers from a
            normal distribution of deviation 0.02 cut off at 2, their biases 0, all
            else PyTorch's own, as in the authors' code.

    Raises:
        ValueError: On an unknown ``arch``, and on sizes or stages that there are
            not.

    Source:
        Liu et al., "VMamba: Visual State Space Model" (NeurIPS 2024), Fig. 3 and
        Table 1; details as in the authors' released code.
    """

    def __init__(
        self,
        arch: str = 'tiny',
        embed_dims: int | None = None,
        depths: Sequence[int] | None = None,
        ssm_ratio: float | None = None,
        in_channels: int = 3,
        d_state: int = 1,
        mlp_ratio: float = 4.0,
        drop_path_rate: float | None = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = {'type': 'TruncNormal', 'layer': 'Linear', 'std': 0.02}
        super().__init__(init_cfg)
        if arch not in ARCHITECTURES:
            raise ValueError(
                f'unknown arch {arch!r} of VMamba; there are {list(ARCHITECTURES)}'
            )
        size = ARCHITECTURES[arch]
        depths = tuple(size.depths if depths is None else depths)
        dims = size.embed_dims if embed_dims is None else embed_dims
        ratio = size.ssm_ratio if ssm_ratio is None else ssm_ratio
        rate = size.drop_path_rate if drop_path_rate is None else drop_path_rate
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        _check_sizes(dims, depths, ratio, in_channels)
        _check_stages(self.out_indices, frozen_stages, len(depths))

        widths = [dims * 2**stage for stage in range(len(depths))]
        self.stem = nn.Sequential(
            DownConv(in_channels, dims // 2), nn.GELU(), DownConv(dims // 2, dims)
        )
        self.downsamples = nn.ModuleList(
            DownConv(width, 2 * width) for width in widths[:-1]
        )
        paths = PathCache(cross_paths)
        rates = iter(torch.linspace(0, rate, sum(depths), device='cpu').tolist())
        self.stages = nn.ModuleList(
            nn.ModuleList(
                cross_scan_block(
                    width,
                    paths,
                    ssm_ratio=ratio,
                    d_state=d_state,
                    mlp_ratio=mlp_ratio,
                    drop_path_rate=next(rates),
                )
                for _ in range(depth)
            )
            for width, depth in zip(widths, depths, strict=True)
        )
        self.out_norms = nn.ModuleDict(
            {str(stage): nn.LayerNorm(widths[stage]) for stage in self.out_indices}
        )
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encodes images.

        Args:
            x: Images ``(N, C, H, W)``, normalised; of any size.

        Returns:
            For each of ``out_indices`` a map ``(N, embed_dims * 2**i, H / 2**(i +
            2), W / 2**(i + 2))``, in the memory layout of ``x``.

        Raises:
            ValueError: If ``x`` is not a batch of images with ``in_channels``
                channels.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels or 0 in x.shape[2:]:
            raise ValueError(
                f'VMamba expects images of shape (batch, {self.in_channels}, height, '
                f'width), got {tuple(x.shape)}; other channels need a model built '
                'with their number as in_channels'
            )
        # Contiguous maps only for those who came with one.
        contiguous = x.is_contiguous()
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.stem(x.permute(0, 2, 3, 1))
        maps = []
        for stage, blocks in enumerate(self.stages):
            if stage:
                x = self.downsamples[stage - 1](x)
            for block in blocks.children():
                x = self._run(block, x)
            if stage in self.out_indices:
                y = self.out_norms[str(stage)](x).permute(0, 3, 1, 2)
                maps.append(y.contiguous() if contiguous else y)
            if stage == self.out_indices[-1]:
                break
        return tuple(maps)

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            return checkpoint(block, x, use_reentrant=False)
        return block(x)

    def train(self, mode: bool = True) -> 'VMamba':
        """Sets training mode, but for what is frozen, and returns the module.

        MMPose's ``BaseBackbone.train`` returns None, which breaks
        ``model = model.eval()``.
        """
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        """Stops training, and drop path, of the first stages."""
        if self.frozen_stages < 0:
            return
        count = self.frozen_stages
        # What goes on to the next stage belongs to the one before.
        for part in (self.stem, *self.stages[:count], *self.downsamples[:count]):
            part.eval().requires_grad_(False)


def _check_sizes(
    embed_dims: int, depths: tuple[int, ...], ssm_ratio: float, in_channels: int
) -> None:
    if embed_dims < 2 or embed_dims % 2:
        raise ValueError(
            f'embed_dims must be even, as the stem begins with its half, got '
            f'{embed_dims}'
        )
    if not depths or min(depths) < 1:
        raise ValueError(f'depths must hold a positive number a stage, got {depths}')
    if int(ssm_ratio * embed_dims) < 1:
        raise ValueError(f'ssm_ratio {ssm_ratio} leaves no channels of {embed_dims}')
    if in_channels < 1:
        raise ValueError(f'in_channels must be at least 1, got {in_channels}')


def _check_stages(
    out_indices: tuple[int, ...], frozen_stages: int, num_stages: int
) -> None:
    if not out_indices or sorted(set(out_indices) & set(range(num_stages))) != list(
        out_indices
    ):
        raise ValueError(
            f'out_indices must hold different stages from 0 to {num_stages - 1} in '
            f'ascending order, got {out_indices}'
        )
    if frozen_stages not in range(-1, num_stages + 1):
        raise ValueError(
            f'frozen_stages must be -1 (nothing), 0 (the stem) or a number of stages '
            f'up to {num_stages}, got {frozen_stages}'
        )
