"""Weights of the authors' lifters, PoseMamba and SasMamba, which share a trunk."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from .official_weights import (
    BLOCK_RENAMES,
    ConversionError,
    OfficialModel,
    count_blocks,
    shape_of,
)

_TRUNK_RENAMES = [
    (r'^Spatial_patch_to_embedding\.', 'backbone.embed.'),
    (r'^Spatial_pos_embed$', 'backbone.joint_pos'),
    (r'^Temporal_pos_embed$', 'backbone.frame_pos'),
    (r'^Spatial_norm\.', 'backbone.spatial_norm.'),
    (r'^Temporal_norm\.', 'backbone.temporal_norm.'),
    (r'^STEblocks\.', 'backbone.spatial_blocks.'),
    (r'^TTEblocks\.', 'backbone.temporal_blocks.'),
    (r'^head\.0\.', 'head.pre_logits.'),
    (r'^head\.1\.', 'head.fc.'),
]


def lifter(
    name: str,
    key: str,
    backbone: Callable[[Mapping[str, Tensor]], Mapping[str, Any]],
    loss: Mapping[str, Any],
    renames: Sequence[tuple[str, str]] = (),
) -> OfficialModel:
    """Describes a lifter of clips.

    Args:
        name: Name of the model.
        key: Where its checkpoints hold the weights.
        backbone: Gives type and own arguments of our backbone, from the weights.
        loss: Config of the loss that it was trained with.
        renames: Patterns of official names and ours, applied before those that all
            lifters have.

    Returns:
        What the converter needs to know.
    """
    return OfficialModel(
        name=name,
        key=key,
        config=partial(_config, name=name, backbone=backbone, loss=loss),
        describe=_describe,
        renames=[*renames, *_TRUNK_RENAMES, *BLOCK_RENAMES],
    )


def _describe(config: Mapping[str, Any]) -> str:
    backbone = config['backbone']
    return (
        f'of width {backbone["embed_dims"]}, {backbone["depth"]} pairs of blocks, '
        f'{backbone["num_frames"]} frames, {backbone["num_joints"]} joints'
    )


def _config(
    weights: Mapping[str, Tensor],
    name: str,
    backbone: Callable[[Mapping[str, Tensor]], Mapping[str, Any]],
    loss: Mapping[str, Any],
) -> dict:
    """Config of a ``PoseLifter`` for a skeleton of 17 joints, as plain data."""
    shape = partial(shape_of, weights, model_name=name)

    embed_dims, in_channels = shape('Spatial_patch_to_embedding.weight', 2)
    num_joints = shape('Spatial_pos_embed', 3)[1]
    num_frames = shape('Temporal_pos_embed', 3)[1]
    hidden = shape('STEblocks.0.mlp.fc1.weight', 2)[0]
    d_state = shape('STEblocks.0.op.A_logs', 2)[1]
    if num_joints != 17:
        raise ConversionError(
            'expected the 17 joints of Human3.6M, the only number for which there '
            f'is official code, found {num_joints}'
        )
    return {
        'type': 'PoseLifter',
        'backbone': {
            **backbone(weights),
            'embed_dims': embed_dims,
            'depth': count_blocks(weights, 'STEblocks'),
            'num_frames': num_frames,
            'num_joints': num_joints,
            'in_channels': in_channels,
            'd_state': d_state,
            'mlp_ratio': hidden / embed_dims,
        },
        'head': {
            'type': 'mmssm.LiftingHead',
            'in_channels': embed_dims,
            'loss': {'type': 'mmssm.LiftingLoss', **loss},
            'decoder': {
                'type': 'MotionBERTLabel',
                'num_keypoints': num_joints,
                'rootrel': True,
            },
        },
        'test_cfg': {'flip_test': True},
    }
