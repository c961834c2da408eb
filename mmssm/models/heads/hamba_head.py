"""Hamba: hand meshes by a graph-guided state-space decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssm.registry import MODELS
from mmssm.structures.hand import NUM_JOINTS, SKELETON

from ..layers import (
    CropMap,
    GSSBlock,
    NormedStages,
    PathCache,
    SelfAttention,
    TokenSampler,
    VSSBlock,
    cross_paths,
    cross_scan_block,
)
from .mesh_head import MeshHead
from .mesh_prediction import HandLayer, MeshPrediction, MeshRegressor, predict_mesh


@dataclass(frozen=True)
class Architecture:
    """One size of the head.

    Attributes:
        embed_dims: Width of all tokens.
        regressor_depths: Number of blocks of each stage of the joints regressor.
        num_gss: Number of GSS blocks.
        gss_depth: Number of state-space blocks in each of them.
    """

    embed_dims: int
    regressor_depths: tuple[int, ...]
    num_gss: int
    gss_depth: int


ARCHITECTURES = {
    'base': Architecture(512, (2, 2, 2, 2), 4, 2),
    'small': Architecture(96, (1, 1), 2, 1),
}
"""The paper's head, and one to train on a CPU."""

FUSION = ('gss', 'joints', 'global', 'tokens')
"""What the fusion takes, in the order in which it is put together: the mean of the
decoder's tokens, the regressed 2D joints, the mean of the feature map, the mean of
the sampled tokens."""


class JointsRegressor(BaseModule):
    """First estimate of the hand, from the whole map.

    Args:
        channels: Number of channels ``C``.
        depths: Number of blocks of each stage.
        paths: Gives the ``ScanPaths`` of ``(rows, columns, device)``.
        hand_layer: The hand model's layer.
        drop_path_rate: Drop-path rate of the last block; it rises from 0.

    Source:
        "Hamba", Eq. 4.
    """

    def __init__(
        self,
        channels: int,
        depths: Sequence[int],
        paths: PathCache,
        hand_layer: HandLayer,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        rates = iter(_ramp(drop_path_rate, sum(depths)))
        stages = [
            nn.Sequential(
                *(
                    cross_scan_block(channels, paths, drop_path_rate=next(rates))
                    for _ in range(depth)
                )
            )
            for depth in depths
        ]
        self.stages = NormedStages(stages, channels)
        self.regressor = MeshRegressor(channels, hand_layer)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Parameters (see `MeshRegressor`) of maps ``(N, C, rows, columns)``."""
        x = self.stages(x.permute(0, 2, 3, 1))
        return self.regressor(x.mean((1, 2)))


@MODELS.register_module()
class HambaHead(MeshHead):
    """Head of Hamba: from a feature map to a hand's mesh.

    The map is brought to ``embed_dims`` channels. The joints regressor, cross-scan
    blocks over all its cells, makes a first hand. Where that has its joints in the
    image the token sampler reads the map: 21 tokens, to which the map's mean comes
    as a global one. GSS blocks mix these 22: a graph convolution with matrices for
    every joint, then state-space blocks that scan hand and global token forth and
    back. The fusion puts the means of their tokens, of the sampled tokens and of the
    map and the 2D joints side by side, and linear layers add to the mean hand.

    Any backbone serves whose last map has ``feat_size`` cells. The authors' sees
    the middle 192 columns of a crop of 256 pixels.

    Args:
        in_channels: Channels of the backbone's last map.
        arch: Name of a size in :data:`ARCHITECTURES`. What is given beside it
            stands in the place of its values.
        embed_dims, regressor_depths, num_gss, gss_depth: As in `Architecture`.
            ``gss_depth=0`` leaves the graph convolutions alone.
        feat_size: Rows and columns of that map.
        crop_size, crop_columns, stride, first_cell: Where its cells lie in the
            crop, see `CropMap`. They are in pixels of the crop; the sizes of the
            predicted hand do not depend on them.
        sampling_x_pad: ``'exact'``, or ``'released'`` for the authors' geometry,
            see `CropMap`.
        drop_path_rate: Drop-path rate of the last block of the joints regressor
            and of the last of the decoder; it rises from 0.
        fusion: What the fusion takes, of :data:`FUSION`. A part that nothing reads
            is not built. With nothing there is no decoder: the joints regressor
            alone, which the authors train first.
        token_sampler: Whether tokens are sampled. Else every joint's token is the
            mean of the map, and ``fusion`` cannot take ``'tokens'``.
        graph_conv: Whether GSS blocks have the graph convolution.
        mixer: What mixes tokens in GSS blocks: ``'scan'``, or ``'attention'`` for
            the paper's Table S1.
        bidirectional: Whether the scans of GSS blocks run forth and back, or
            forth only.
        scan_order: In which order GSS blocks scan the joints. Default: as numbered
            (``'op21'``), finger by finger from base to tip.
        mano, loss: See `MeshHead`.
        init_cfg: Config of the initialisation. Default: linear layers from a
            normal distribution of deviation 0.02 cut off at 2, as in VMamba; the
            last ones begin close to the mean hand; all else PyTorch's own.

    Raises:
        ValueError: On sizes, names or geometry that cannot be.

    Source:
        Dong et al., "Hamba: Single-view 3D Hand Reconstruction with Graph-guided
        Bi-Scanning Mamba" (NeurIPS 2024); details that the paper does not have as
        in the authors' released code.
    """

    def __init__(
        self,
        in_channels: int,
        arch: str = 'base',
        embed_dims: int | None = None,
        regressor_depths: Sequence[int] | None = None,
        num_gss: int | None = None,
        gss_depth: int | None = None,
        feat_size: Sequence[int] = (16, 12),
        crop_size: int = 256,
        crop_columns: Sequence[int] | None = None,
        stride: float | None = None,
        first_cell: float | None = None,
        sampling_x_pad: Literal['exact', 'released'] = 'exact',
        drop_path_rate: float = 0.0,
        fusion: Sequence[str] = FUSION,
        token_sampler: bool = True,
        graph_conv: bool = True,
        mixer: Literal['scan', 'attention'] = 'scan',
        bidirectional: bool = True,
        scan_order: Sequence[int] | None = None,
        mano: dict | None = None,
        loss: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(mano, loss, init_cfg)
        if arch not in ARCHITECTURES:
            raise ValueError(
                f'unknown arch {arch!r} of HambaHead; there are {list(ARCHITECTURES)}'
            )
        size = ARCHITECTURES[arch]
        dims = size.embed_dims if embed_dims is None else embed_dims
        depths = tuple(regressor_depths or size.regressor_depths)
        num_gss = size.num_gss if num_gss is None else num_gss
        gss_depth = size.gss_depth if gss_depth is None else gss_depth
        _check_sizes(in_channels, dims, depths, num_gss, gss_depth)
        self.in_channels = in_channels
        self.fusion = _checked_fusion(fusion, token_sampler)
        self.crop_map = CropMap(
            feat_size, crop_size, crop_columns, stride, first_cell, sampling_x_pad
        )
        self.reducer = nn.Sequential(
            nn.Conv2d(in_channels, dims, 1),
            nn.BatchNorm2d(dims),
            nn.ReLU(),
            nn.Conv2d(dims, dims, 1),
        )
        self.joints_regressor = JointsRegressor(
            dims, depths, PathCache(cross_paths), self.mano, drop_path_rate
        )
        self.token_sampler: nn.Module | None = None
        if token_sampler and {'gss', 'tokens'} & set(self.fusion):
            self.token_sampler = TokenSampler(dims, self.crop_map)
        if 'gss' in self.fusion:
            make = _block_maker(mixer, dims, bidirectional, scan_order is not None)
            rates = iter(_ramp(drop_path_rate, num_gss * gss_depth))
            stages = [
                GSSBlock(
                    dims,
                    [make(drop_path_rate=next(rates)) for _ in range(gss_depth)],
                    num_joints=NUM_JOINTS,
                    bones=SKELETON if graph_conv else None,
                    order=scan_order,
                )
                for _ in range(num_gss)
            ]
            self.decoder = NormedStages(stages, dims)
        if self.fusion:
            width = sum(
                2 * NUM_JOINTS if term == 'joints' else dims for term in self.fusion
            )
            self.regressor = MeshRegressor(width, self.mano)

    def forward(self, feats: Sequence[Tensor]) -> tuple[MeshPrediction, ...]:
        """Predicts hands.

        Args:
            feats: Feature maps; the last one, ``(N, in_channels, *feat_size)``, is
                used.

        Returns:
            The hands of the joints regressor and of the head, of which the latter
            stand alone without ``fusion``.

        Raises:
            ValueError: If the map is not of that shape.
        """
        self.crop_map.check(feats[-1], self.in_channels)
        x = self.reducer(feats[-1])
        first = predict_mesh(self.mano, *self.joints_regressor(x))
        if not self.fusion:
            return (first,)
        whole = x.mean((2, 3))
        if self.token_sampler is None:
            tokens = whole[:, None].expand(-1, NUM_JOINTS, -1)
        else:
            tokens = self.token_sampler(x, first.keypoints)
        terms = {'joints': first.keypoints.flatten(1), 'global': whole}
        if 'gss' in self.fusion:
            terms['gss'] = self.decoder(torch.cat([tokens, whole[:, None]], 1)).mean(1)
        if 'tokens' in self.fusion:
            terms['tokens'] = tokens.mean(1)
        features = torch.cat([terms[term] for term in self.fusion], -1)
        return first, predict_mesh(self.mano, *self.regressor(features))


def _check_sizes(
    in_channels: int,
    embed_dims: int,
    depths: tuple[int, ...],
    num_gss: int,
    gss_depth: int,
) -> None:
    sizes = dict(
        in_channels=in_channels,
        embed_dims=embed_dims,
        regressor_depths=min(depths),
        num_gss=num_gss,
    )
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
    if gss_depth < 0:
        raise ValueError(f'gss_depth must not be negative, got {gss_depth}')


def _ramp(rate: float, depth: int) -> list[float]:
    return torch.linspace(0, rate, depth, device='cpu').tolist()


def _block_maker(
    mixer: str, channels: int, bidirectional: bool, ordered: bool
) -> Callable[..., VSSBlock]:
    """What makes a block of the decoder, given its drop-path rate."""
    if mixer == 'scan':
        used = (0, 1, 2, 3) if bidirectional else (0, 1)
        paths = PathCache(partial(cross_paths, used=used))
        return partial(cross_scan_block, channels, paths, num_paths=len(used))
    if mixer != 'attention':
        raise ValueError(f"mixer must be 'scan' or 'attention', got {mixer!r}")
    if ordered or not bidirectional:
        raise ValueError(
            "mixer='attention' sees all tokens at once; leave out bidirectional and "
            'scan_order'
        )
    return partial(_attention_block, channels)


def _attention_block(channels: int, drop_path_rate: float) -> VSSBlock:
    return VSSBlock(
        channels, SelfAttention(channels), 4.0, drop_path_rate, norm_eps=1e-5
    )


def _checked_fusion(fusion: Sequence[str], token_sampler: bool) -> tuple[str, ...]:
    terms = tuple(term for term in FUSION if term in fusion)
    if len(terms) != len(fusion):
        raise ValueError(
            f'fusion must hold different names of {list(FUSION)}, got {list(fusion)}'
        )
    if 'tokens' in terms and not token_sampler:
        raise ValueError(
            "without token_sampler there are no tokens to fuse; leave 'tokens' out of "
            'fusion'
        )
    return terms
