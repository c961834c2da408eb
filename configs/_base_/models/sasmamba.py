# SasMamba with the losses that its paper prints and the parts and gradient of its
# authors' released code. The decoder is the dataset's.
_base_ = ['./h36m_joint_weights.py']

model = dict(
    type='PoseLifter',
    backbone=dict(
        type='mmssm.SasMamba',
        arch='base',
        num_frames=243,
        num_joints=17,
        drop_path_rate=0.2,
        stride_grad='identity',
    ),
    head=dict(
        type='mmssm.LiftingHead',
        in_channels=64,
        loss=dict(
            type='mmssm.LiftingLoss',
            mpjpe=0.0,
            n_mpjpe=0.0,
            velocity=20.0,
            temporal_consistency=0.5,
            weighted_mpjpe=1.0,
            joint_weights={{_base_.joint_weights}},
        ),
    ),
    test_cfg=dict(flip_test=True),
)
