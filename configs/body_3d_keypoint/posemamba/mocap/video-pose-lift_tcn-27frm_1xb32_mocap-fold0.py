# MMPose's VideoPose3D (TCN, one frame out of 27) on the embedded motion data:
# data, augmentation, normalisation and protocol of the PoseMamba beside it.
_base_ = [
    '../../../_base_/schedules/mocap_iters.py',
    '../../../_base_/datasets/mocap_27frm.py',
]

custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(
        type='EMAHook',
        ema_type='ExponentialMovingAverage',
        momentum=0.01,
        update_buffers=True,
    ),
]

# optimizer
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))

# codec
train_codec = dict(
    type='mmssm.FrameLiftingLabel', num_keypoints=17, concat_vis=True, mode='train'
)
val_codec = dict(type='mmssm.FrameLiftingLabel', num_keypoints=17, concat_vis=True)

# model
model = dict(
    type='PoseLifter',
    backbone=dict(
        type='TCN',
        in_channels=3 * 17,
        stem_channels=512,
        num_blocks=2,
        kernel_sizes=(3, 3, 3),
        dropout=0.25,
        use_stride_conv=True,
    ),
    head=dict(
        type='TemporalRegressionHead',
        in_channels=512,
        num_joints=17,
        loss=dict(type='MPJPELoss'),
        decoder=val_codec,
    ),
)

# data: every frame is the centre of its own window
pack = dict(
    type='PackPoseInputs',
    meta_keys=(
        'id',
        'category_id',
        'target_img_path',
        'flip_indices',
        'target_root',
        'keypoints',
        'keypoints_visible',
    ),
)
train_dataloader = dict(
    dataset=dict(
        center_target=True,
        pipeline=[
            dict(type='mmssm.DetectorNoise'),
            # before the codec, which transposes: around the principal point
            dict(
                type='RandomFlipAroundRoot',
                keypoints_flip_cfg=dict(center_mode='static', center_x=500.0),
                target_flip_cfg=dict(center_mode='static', center_x=0.0),
            ),
            dict(type='GenerateTarget', encoder=train_codec),
            pack,
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        center_target=True,
        pipeline=[
            dict(type='mmssm.DetectorNoise'),
            dict(type='GenerateTarget', encoder=val_codec),
            pack,
        ],
    ),
)
test_dataloader = val_dataloader
