# MMPose's VideoPose3D (TCN, one frame out of 27) on the embedded motion data:
# data, augmentation, normalisation and protocol of the PoseMamba beside it.
_base_ = [
    '../../../_base_/default_runtime.py',
    '../../../_base_/datasets/mocap_27frm.py',
]

# runtime
train_cfg = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=1000, val_interval=250
)
default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=250, max_keep_ckpts=1),
    # every second frame of 50 a second: the clips run at their true speed
    visualization=dict(
        _delete_=True,
        type='mmssm.Pose3dVisualizationHook',
        enable=False,
        clip_step=2,
        fps=25,
    ),
)
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(
        type='EMAHook',
        ema_type='ExponentialMovingAverage',
        momentum=0.01,
        update_buffers=True,
    ),
]
log_processor = dict(by_epoch=False)

# optimizer and learning policy
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, end=100, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False),
]

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
    batch_size=128,
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
    batch_size=128,
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

visualizer = dict(type='mmssm.Pose3dVisualizer')
