"""Converts a checkpoint of the authors' VMamba code to this project's names.

    python tools/model_converters/vmamba.py vssm1_tiny_0230s_ckpt_epoch_264.pth DST

The files are those of ImageNet training, with the weights under ``model``. Widths,
depths, states and channels are read off the shapes. Every weight of the file is used
exactly once, but for the two of the classifier's last layer, and every shape is
checked, or nothing is written. The norm before that layer becomes the norm of the
last map; maps of other stages have none in the file. The file is read without running
any code that it may hold.

The result goes into a config as ``init_cfg=dict(type='Pretrained',
checkpoint='DST')`` of the backbone, if it ends in ``.pth``, and stands alone in
``mmssm.apis.build_from_checkpoint(DST)``.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.official_weights import (
    BLOCK_RENAMES,
    ConversionError,
    OfficialModel,
    count_blocks,
    run_command,
    shape_of,
)

NUM_STAGES = 4


def config(weights: Mapping[str, Tensor]) -> dict:
    """Reads the backbone's config off the official weights.

    Raises:
        ConversionError: If they are of no VMamba of the second version (the first
            had another stem and no MLPs), or do not have its four stages.
    """
    shape = partial(shape_of, weights, model_name='VMamba (second version)')
    embed_dims = shape('patch_embed.5.weight', 4)[0]
    in_channels = shape('patch_embed.0.weight', 4)[1]
    inner = shape('layers.0.blocks.0.op.conv2d.weight', 4)[0]
    d_state = shape('layers.0.blocks.0.op.A_logs', 2)[1]
    hidden = shape('layers.0.blocks.0.mlp.fc1.bias', 1)[0]
    stages = count_blocks(weights, 'layers')
    if stages != NUM_STAGES:
        raise ConversionError(f'expected {NUM_STAGES} stages, found {stages}')
    return {
        'type': 'mmssm.VMamba',
        'embed_dims': embed_dims,
        'depths': [
            count_blocks(weights, f'layers.{stage}.blocks') for stage in range(stages)
        ],
        'ssm_ratio': inner / embed_dims,
        'in_channels': in_channels,
        'd_state': d_state,
        'mlp_ratio': hidden / embed_dims,
        'out_indices': [NUM_STAGES - 1],
    }


def describe(config: Mapping[str, Any]) -> str:
    """Says in a few words what model a config is of."""
    return (
        f'of width {config["embed_dims"]}, depths {config["depths"]}, inner width '
        f'{config["ssm_ratio"]:g} times as much'
    )


MODEL = OfficialModel(
    name='VMamba',
    key='model',
    config=config,
    describe=describe,
    renames=[
        *BLOCK_RENAMES,
        (r'^patch_embed\.0\.', 'stem.0.conv.'),
        (r'^patch_embed\.2\.', 'stem.0.norm.'),
        (r'^patch_embed\.5\.', 'stem.2.conv.'),
        (r'^patch_embed\.7\.', 'stem.2.norm.'),
        (r'^layers\.(\d+)\.blocks\.', r'stages.\1.'),
        (r'^layers\.(\d+)\.downsample\.1\.', r'downsamples.\1.conv.'),
        (r'^layers\.(\d+)\.downsample\.3\.', r'downsamples.\1.norm.'),
        (r'^classifier\.norm\.', f'out_norms.{NUM_STAGES - 1}.'),
    ],
    left_out=('classifier.head.weight', 'classifier.head.bias'),
)


def main() -> None:
    """Runs the command."""
    run_command(MODEL, __doc__, example='vssm1_tiny_0230s_ckpt_epoch_264.pth')


if __name__ == '__main__':
    main()
