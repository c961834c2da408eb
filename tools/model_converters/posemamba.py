"""Converts a checkpoint of the authors' PoseMamba code to this project's names.

The released files hold the weights under ``model_pos``. Width, depth, frames,
joints, states and MLP width are read off the shapes. Every weight of the file
is used exactly once and every shape is checked, or nothing is written. The
file is read without running any code that it may hold.

The result loads into the configs of ``configs/body_3d_keypoint/posemamba/``
with ``tools/test.py CONFIG DST``, and by itself with
``mmssm.apis.build_from_checkpoint(DST)``.
"""

import mmssm.registry  # noqa: F401  cures the host before it is used
from mmssm.apis.official_lifters import lifter
from mmssm.apis.official_weights import run_command

MODEL = lifter(
    name='PoseMamba',
    key='model_pos',
    backbone=lambda _: {'type': 'mmssm.PoseMamba', 'local_grad': 'identity'},
    loss={
        'joint_weights': [
            *(1, 1, 2.5, 2.5, 1, 2.5, 2.5, 1, 1, 1, 1.5),
            *(1.5, 4, 4, 1.5, 4, 4),
        ]
    },
)


def main() -> None:
    """Runs the command."""
    run_command(MODEL, __doc__, example='PoseMamba_S.bin')


if __name__ == '__main__':
    main()
