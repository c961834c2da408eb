# PoseMamba-S as its authors trained it: their losses, and the gradient of their
# released code. The decoder is the dataset's.
_base_ = ['./h36m_joint_weights.py']

model = dict(
    type='PoseLifter',
    backbone=dict(
        type='mmssm.PoseMamba',
        arch='small',
        num_frames=243,
        num_joints=17,
        drop_path_rate=0.2,
        local_grad='identity',
    ),
    head=dict(
        type='mmssm.LiftingHead',
        in_channels=64,
        loss=dict(
            type='mmssm.LiftingLoss',
            mpjpe=1.0,
            n_mpjpe=0.5,
            velocity=20.0,
            temporal_consistency=0.5,
            joint_weights={{_base_.joint_weights}},
        ),
    ),
    test_cfg=dict(flip_test=True),
)
