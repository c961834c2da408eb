# PoseMamba-S with the recipe of the authors' released code, which produced the
# published numbers: one parameter group (weight decay on everything), the
# identity gradient of the local order, fp32, no warm-up.
_base_ = [
    '../../../_base_/default_runtime.py',
    '../../../_base_/datasets/h36m_sh_243frm.py',
]

# runtime: the published checkpoints are the best of all epochs on the test set
train_cfg = dict(max_epochs=120, val_interval=1)
default_hooks = dict(
    checkpoint=dict(save_best='MPJPE_action_mean', rule='less', max_keep_ckpts=1),
    visualization=dict(
        _delete_=True, type='mmssm.Pose3dVisualizationHook', enable=False, fps=50
    ),
)

# optimizer and learning policy
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=2e-4, weight_decay=0.01))
param_scheduler = [dict(type='ExponentialLR', gamma=0.99, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=4)

# fmt: off
joint_weights = [
    1.0,  # pelvis
    1.0, 2.5, 2.5,  # right leg
    1.0, 2.5, 2.5,  # left leg
    1.0, 1.0, 1.0, 1.5,  # spine, thorax, neck, head
    1.5, 4.0, 4.0,  # left arm
    1.5, 4.0, 4.0,  # right arm
]
# fmt: on

# model
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
            joint_weights=joint_weights,
        ),
        decoder={{_base_.val_codec}},
    ),
    test_cfg=dict(flip_test=True),
)

visualizer = dict(type='mmssm.Pose3dVisualizer')
