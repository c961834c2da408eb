"""Converts the backbone of HaMeR's checkpoint to MMPretrain's names.

    python tools/model_converters/hamer_vit.py hamer.ckpt DST.pth

HaMeR's ViT-H/16, from which Hamba's training starts. Of the file's weights, under
``state_dict``, those of ``backbone`` are used, each exactly once, and every shape is
checked, or nothing is written. The place table of the class token, which HaMeR adds to
every patch, goes into the patches' own. The file is read without running any code that
it may hold; if it holds more than data, such as its training's configuration as an
object, write ``{'state_dict': ...}`` of it where you trust it.

MMPretrain must be installed (requirements/optional.txt says how). The result goes into
a config that inherits ``configs/_base_/models/vit_huge_256x192.py`` as
``init_cfg=dict(type='Pretrained', checkpoint='DST.pth')`` of the backbone.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.official_weights import (
    ConversionError,
    OfficialModel,
    run_command,
    shape_of,
)

BACKBONE = 'backbone.'


def backbone_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's weights, with one place table.

    Raises:
        ConversionError: If there is no backbone, or its place table is of another
            number of patches.
    """
    found = {
        name.removeprefix(BACKBONE): weight
        for name, weight in weights.items()
        if name.startswith(BACKBONE)
    }
    places = shape_of(found, 'pos_embed', 3, "HaMeR's backbone")
    if places[:2] != (1, 1 + 16 * 12):
        raise ConversionError(
            'expected a place table of the class token and 16 x 12 patches, (1, 193, '
            f'channels), found {tuple(places)}'
        )
    table = found['pos_embed']
    return {**found, 'pos_embed': table[:, 1:] + table[:, :1]}


def vit(arch: str | dict = 'huge') -> OfficialModel:
    """HaMeR's backbone.

    Args:
        arch: MMPretrain's name of its size, or the numbers.
    """
    config = dict(
        type='mmpretrain.VisionTransformer',
        arch=arch,
        img_size=[256, 192],
        patch_size=16,
        patch_cfg=dict(padding=2),
        qkv_bias=True,
        with_cls_token=False,
        out_type='featmap',
    )
    return OfficialModel(
        name="HaMeR's ViT",
        key='state_dict',
        prepare=backbone_weights,
        config=lambda weights: config,
        describe=describe,
        renames=[
            (r'^patch_embed\.proj\.', 'patch_embed.projection.'),
            (r'^blocks\.(\d+)\.norm(\d)\.', r'layers.\1.ln\2.'),
            (r'^blocks\.(\d+)\.mlp\.fc1\.', r'layers.\1.ffn.layers.0.0.'),
            (r'^blocks\.(\d+)\.mlp\.fc2\.', r'layers.\1.ffn.layers.1.'),
            (r'^blocks\.', 'layers.'),
            (r'^last_norm\.', 'ln1.'),
        ],
    )


def describe(config: Mapping[str, Any]) -> str:
    """Says in a few words what model a config is of."""
    return f'of arch {config["arch"]!r} for 256 x 192 pixels'


def main() -> None:
    """Runs the command."""
    run_command(vit(), __doc__, example='hamer.ckpt')


if __name__ == '__main__':
    main()
