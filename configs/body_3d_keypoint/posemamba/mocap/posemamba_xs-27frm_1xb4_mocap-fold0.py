# A PoseMamba that a CPU trains in minutes, on the embedded motion data.
_base_ = [
    '../../../_base_/schedules/mocap_iters.py',
    '../../../_base_/datasets/mocap_27frm.py',
]

custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.005),
]

# data: small batches, as the number of updates is what six minutes of a CPU
# run short of
train_dataloader = dict(batch_size=4)

# optimizer
optim_wrapper = dict(
    constructor='mmssm.MambaOptimWrapperConstructor',
    optimizer=dict(type='AdamW', lr=3e-3, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
)

# model
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='mmssm.PoseMamba',
        embed_dims=48,
        depth=2,
        num_frames=27,
        num_joints=17,
        in_channels=3,
        d_state=4,
        drop_path_rate=0.0,
    ),
    head=dict(
        type='mmssm.LiftingHead',
        in_channels=48,
        loss=dict(
            type='mmssm.LiftingLoss',
            mpjpe=1.0,
            n_mpjpe=0.5,
            velocity=2.0,
            temporal_consistency=0.0,
            use_target_weight=True,
        ),
        decoder={{_base_.val_codec}},
    ),
    test_cfg=dict(flip_test=True),
)
