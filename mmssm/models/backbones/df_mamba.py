"""DF-Mamba: convolutions, deformable scans and gated convolutions on images."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import pairwise

import torch
from mmcv.cnn import ConvModule
from mmpose.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmssm.registry import MODELS

from ..layers import (
    DSSM,
    ConvBlock,
    GatedConv,
    PathCache,
    RowScan,
    VSSBlock,
    cross_paths,
)

ARCHITECTURES = {
    'a': {'expand': 1.0, 'gated_expand': 2.0},
    'b': {'expand': 2.0, 'gated_expand': 1.0},
}
"""``a`` has the paper's multiply-accumulates, ``b`` its parameters."""

NUM_STAGES = 6
LEVELS = (0, 1, 2, 2, 3, 3)
"""Level of each stage; the stride of a level is 4 times 2 to its power."""

STEM_CHANNELS = 32


@MODELS.register_module()
class DFMamba(BaseBackbone):
    """Backbone of DF-Mamba: an image in, maps at strides 4, 8, 16 and 32 out.

    A stem of two convolutions, then six stages of one kind of block each, given
    by a letter: ``C`` (`ConvBlock`), ``D`` (a `VSSBlock` around a `GatedConv`
    with a deformable scan in it, and an MLP), ``G`` (the same without scan and
    MLP). Convolutions of stride 2 follow stages 1, 2 and 4. Any image size
    works; a side that a stride does not divide is rounded up.

    No code of the authors is public. What the paper leaves open was decided
    here: widths, inner widths, states, the convolution of the blocks, how
    offsets and weights are predicted, initial values. docs/models/df_mamba.md
    lists all of it.

    Args:
        arch: ``'a'`` or ``'b'``: sets ``expand`` and ``gated_expand``.
        blocks: A letter for each stage.
        depths: Number of blocks of each stage.
        dims: Number of channels of each level.
        in_channels: Channels of the image: 3, or 1 for depth images.
        expand: Inner width of D blocks over their width, in the place of that
            of ``arch``.
        gated_expand: The same of G blocks.
        ffn_ratio: Hidden width of the MLPs of D blocks over their width.
        d_state: Number of states per channel.
        num_anchors: Number of samples ``K`` that a step of the deformable scan
            reads: an odd number squared; 0 for the plain scan of Mamba.
        offset_groups: Number of groups of channels with offsets of their own.
        drop_path_rate: Drop-path rate of the last block; it rises from 0.
        out_indices: Stages whose maps are returned, each before the convolution
            that follows the stage and after a LayerNorm of its own.
        out_dim: Brings all returned maps to this number of channels by a linear
            layer each. Default: they keep their own.
        frozen_stages: 0 freezes the stem, ``n`` also stages 1 to ``n``; -1
            freezes nothing.
        with_cp: Whether blocks are computed again in the backward pass, which
            saves memory.
        norm_eval: Whether batch norms keep their statistics in training.
        norm_cfg: Config of the norms of stem and C blocks.
        init_cfg: Config of the initialisation. Default: convolutions as in
            MMPose's ResNet, linear layers by a truncated normal distribution
            with a deviation of 0.02. The scans keep their own initial values.

    Raises:
        ValueError: On an unknown ``arch`` or letter, and on numbers that do not
            fit together.

    Source:
        Zhou et al., "DF-Mamba: Deformable State Space Modeling for 3D Hand Pose
        Estimation in Interactions" (WACV 2026), section 4.2 and Figure 4.
    """

    def __init__(
        self,
        arch: str = 'a',
        blocks: str = 'CCDGDG',
        depths: Sequence[int] = (3, 3, 5, 5, 2, 1),
        dims: Sequence[int] = (80, 160, 320, 640),
        in_channels: int = 3,
        expand: float | None = None,
        gated_expand: float | None = None,
        ffn_ratio: float = 4.0,
        d_state: int = 16,
        num_anchors: int = 9,
        offset_groups: int = 1,
        drop_path_rate: float = 0.0,
        out_indices: Sequence[int] = (0, 1, 3, 5),
        out_dim: int | None = None,
        frozen_stages: int = -1,
        with_cp: bool = False,
        norm_eval: bool = False,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='TruncNormal', std=0.02, layer='Linear'),
            ]
        super().__init__(init_cfg)
        _check(arch, blocks, depths, dims, in_channels, out_indices, frozen_stages)
        preset = ARCHITECTURES[arch]
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.with_cp = with_cp
        self.norm_eval = norm_eval
        norm_cfg = norm_cfg or dict(type='BN')

        make_ssm = _ssm_maker(num_anchors, offset_groups, d_state)
        makers: dict[str, Callable[[int, float], nn.Module]] = {
            'C': partial(_conv_block, norm_cfg=norm_cfg),
            'D': partial(
                _token_block,
                expand=expand or preset['expand'],
                mlp_ratio=ffn_ratio,
                make_ssm=make_ssm,
            ),
            'G': partial(
                _token_block,
                expand=gated_expand or preset['gated_expand'],
                mlp_ratio=0.0,
            ),
        }
        rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device='cpu'))
        self.stem = nn.Sequential(
            *(
                ConvModule(
                    channels, out, 3, stride=2, padding=1, norm_cfg=norm_cfg,
                )
                for channels, out in (
                    (in_channels, STEM_CHANNELS), (STEM_CHANNELS, dims[0])
                )
            )
        )  # fmt: skip
        self.stages = nn.ModuleList(
            Stage(
                [makers[letter](dims[level], next(rates).item()) for _ in range(depth)],
                is_of_tokens=letter != 'C',
            )
            for letter, depth, level in zip(blocks, depths, LEVELS, strict=True)
        )
        self.downsamples = nn.ModuleList(
            nn.Conv2d(dims[now], dims[then], 3, stride=2, padding=1, bias=False)
            if now != then
            else nn.Identity()
            for now, then in pairwise(LEVELS)
        )
        self.out_layers = nn.ModuleDict(
            {
                str(stage): OutLayer(dims[LEVELS[stage]], out_dim)
                for stage in self.out_indices
            }
        )
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encodes images.

        Args:
            x: Images ``(N, in_channels, H, W)``.

        Returns:
            The maps of ``out_indices``, ``(N, C, H / stride, W / stride)`` each.

        Raises:
            ValueError: If the input is no batch of images, has no pixels, or
                another number of channels.
        """
        self._check_input(x)
        x = self.stem(x)
        maps = []
        for index, stage in enumerate(self.stages):
            if index:
                x = self.downsamples[index - 1](x)
            x = stage(x, self.with_cp)
            if index in self.out_indices:
                maps.append(self.out_layers[str(index)](x))
            if index == max(self.out_indices):
                break
        return tuple(maps)

    def train(self, mode: bool = True) -> 'DFMamba':
        """Sets training mode, but for what is frozen, and returns the module."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        frozen: list[nn.Module] = [self.stem] if self.frozen_stages >= 0 else []
        for index in range(max(self.frozen_stages, 0)):
            frozen.append(self.stages[index])
            # What goes on to the next stage belongs to the one before.
            frozen.extend(self.downsamples[index : index + 1])
        for module in frozen:
            module.eval()
            module.requires_grad_(False)

    def _check_input(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'DFMamba expects images of shape (images, {self.in_channels}, height, '
                f'width), got {tuple(x.shape)}; another number of channels needs a '
                'model built with its in_channels (1 for depth images)'
            )
        if 0 in x.shape[2:]:
            raise ValueError(
                f'DFMamba was given images without pixels, of shape {tuple(x.shape)}'
            )


class Stage(nn.Module):
    """Blocks of one kind.

    Args:
        blocks: The blocks.
        is_of_tokens: Whether they work on ``(N, H, W, C)``. The map between
            blocks then lies in memory like that, and nothing is transposed.
    """

    def __init__(self, blocks: Sequence[nn.Module], is_of_tokens: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.is_of_tokens = is_of_tokens

    def forward(self, x: Tensor, with_cp: bool = False) -> Tensor:
        """Applies the blocks to maps ``(N, C, H, W)``."""
        if self.is_of_tokens:
            x = x.permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            if with_cp and x.requires_grad:
                again = partial(_statistics_kept, block)
                x = checkpoint(block, x, use_reentrant=False, context_fn=again)
            else:
                x = block(x)
        return x.permute(0, 3, 1, 2) if self.is_of_tokens else x


class OutLayer(nn.Module):
    """LayerNorm of a returned map, and a linear layer if it changes its width.

    Args:
        channels: Number of channels of the map.
        out_dim: Number of channels that it is brought to, or None.
    """

    def __init__(self, channels: int, out_dim: int | None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.proj = nn.Identity() if out_dim is None else nn.Linear(channels, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Applies the layer to maps ``(N, C, H, W)``."""
        x = x.permute(0, 2, 3, 1)
        return self.proj(self.norm(x)).permute(0, 3, 1, 2)


def _conv_block(channels: int, drop_path_rate: float, norm_cfg: dict) -> nn.Module:
    return ConvBlock(channels, norm_cfg, drop_path_rate)


def _token_block(
    channels: int,
    drop_path_rate: float,
    expand: float,
    mlp_ratio: float,
    make_ssm: Callable[[int, int], nn.Module] | None = None,
) -> nn.Module:
    """A D block, or without a maker of state space layers a G block."""
    ssm = None
    if make_ssm is not None:
        ssm = make_ssm(int(expand * channels), math.ceil(channels / 16))
    mixer = GatedConv(channels, expand, ssm)
    return VSSBlock(channels, mixer, mlp_ratio, drop_path_rate, norm_eps=1e-5)


def _ssm_maker(
    num_anchors: int, offset_groups: int, d_state: int
) -> Callable[[int, int], nn.Module]:
    """Makes the state space layer of a block of its inner width and rank."""
    paths = PathCache(partial(cross_paths, used=(0,)))
    make: Callable[..., nn.Module] = RowScan
    if num_anchors:
        make = partial(DSSM, num_anchors=num_anchors, offset_groups=offset_groups)
    return lambda inner, rank: make(inner, paths=paths, d_state=d_state, dt_rank=rank)


def _statistics_kept(
    block: nn.Module,
) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of the first and the second computation of a block."""
    return nullcontext(), _without_tracking(block)


@contextmanager
def _without_tracking(block: nn.Module) -> Iterator[None]:
    """Keeps batch norms from counting the same batch twice."""
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm) and m.training]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches


def _check(
    arch: str,
    blocks: str,
    depths: Sequence[int],
    dims: Sequence[int],
    in_channels: int,
    out_indices: Sequence[int],
    frozen_stages: int,
) -> None:
    if arch not in ARCHITECTURES:
        raise ValueError(
            f'unknown arch {arch!r} of DFMamba; there are {list(ARCHITECTURES)}'
        )
    if len(blocks) != NUM_STAGES or not set(blocks) <= set('CDG'):
        raise ValueError(
            f'blocks must hold {NUM_STAGES} letters, one for each stage, of C '
            '(convolution), D (deformable scan) and G (gated convolution), got '
            f'{blocks!r}'
        )
    if len(depths) != NUM_STAGES or min(depths) < 1:
        raise ValueError(
            f'depths must hold {NUM_STAGES} positive numbers of blocks, got '
            f'{tuple(depths)}'
        )
    if len(dims) != 1 + LEVELS[-1] or min(dims) < 1:
        raise ValueError(
            f'dims must hold {1 + LEVELS[-1]} positive widths, one for each level, '
            f'got {tuple(dims)}'
        )
    if in_channels < 1:
        raise ValueError(f'in_channels must be positive, got {in_channels}')
    if (
        not out_indices
        or list(out_indices) != sorted(set(out_indices))
        or not set(out_indices) <= set(range(NUM_STAGES))
    ):
        raise ValueError(
            f'out_indices must hold stages from 0 to {NUM_STAGES - 1} in ascending '
            f'order, got {tuple(out_indices)}'
        )
    if not -1 <= frozen_stages <= NUM_STAGES:
        raise ValueError(
            f'frozen_stages must be between -1 and {NUM_STAGES}, got {frozen_stages}'
        )
