"""Converts a checkpoint of the authors' SasMamba code to this project's names.

Their training writes the weights under ``model``. Width, depth, frames, channels,
the window of the deformable convolution and the rest are read off the shapes.
Every weight of the file is used exactly once and every shape is checked, or
nothing is written. The file is read without running any code that it may hold.

The result loads into the configs of ``configs/body_3d_keypoint/sasmamba/`` with
``tools/test.py CONFIG DST``, and by itself with
``mmssm.apis.build_from_checkpoint(DST)``. The strides have no weights: the config
says 'sum', as in the authors' code.
"""

from collections.abc import Mapping

from torch import Tensor

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.official_lifters import lifter
from mmssm.apis.official_weights import run_command


def backbone(weights: Mapping[str, Tensor]) -> dict:
    """Type and own arguments of the backbone that has such weights."""
    taps = weights.get('STEblocks.0.op.conv2d.dcn.weight')
    return {
        'type': 'mmssm.SasMamba',
        'kernel_size': 1 if taps is None else taps.shape[-1],
        'stride_mode': 'sum',
        'stride_grad': 'identity',
    }


MODEL = lifter(
    name='SasMamba',
    key='model',
    backbone=backbone,
    loss={'temporal_consistency': 0.0},
    renames=(
        (r'\.op\.conv2d\.offset_conv\.', '.mixer.conv.offset.'),
        (r'\.op\.conv2d\.dcn\.', '.mixer.conv.'),
    ),
)


def main() -> None:
    """Runs the command."""
    config = run_command(MODEL, __doc__, example='best_epoch.pth.tr')
    if config['backbone']['in_channels'] == 3:
        print(
            "warning: three input channels are those of the authors' MPI-INF-3DHP "
            'training, which has the joints in the order of that set; the configs '
            'here have them in the order of Human3.6M, for which such weights are not'
        )


if __name__ == '__main__':
    main()
