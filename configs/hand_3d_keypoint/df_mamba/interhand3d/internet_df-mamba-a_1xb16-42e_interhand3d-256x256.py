# MMPose's InterNet on DF-Mamba, for one and two hands of InterHand2.6M, with the
# training settings that the paper has for this set in another framework.
_base_ = [
    '../../../_base_/schedules/hand_adam_42e.py',
    '../../../_base_/datasets/interhand3d.py',
]

# The joints' description, which the data set reads from the base itself; as a part of
# this config it would take long to print.
dataset_info = dict(_delete_=True)

# codec settings
codec = dict(
    type='Hand3DHeatmap',
    image_size=[256, 256],
    root_heatmap_size=64,
    heatmap_size=[64, 64, 64],
    sigma=2.5,
    max_bound=255,
    depth_size=64,
)

# model settings
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type='mmssm.DFMamba', arch='a', out_indices=(5,)),
    head=dict(
        type='InternetHead',
        keypoint_head_cfg=dict(
            in_channels=640,
            out_channels=21 * 64,
            depth_size=codec['depth_size'],
            deconv_out_channels=(256, 256, 256),
            deconv_kernel_sizes=(4, 4, 4),
        ),
        root_head_cfg=dict(
            in_channels=640,
            heatmap_size=codec['root_heatmap_size'],
            hidden_dims=(512,),
        ),
        hand_type_head_cfg=dict(in_channels=640, num_labels=2, hidden_dims=(512,)),
        decoder=codec,
    ),
    # with flip_test=True, shift_heatmap=True fits the mirrored heatmaps better
    test_cfg=dict(flip_test=False),
)

# pipelines
meta_keys = (
    'id',
    'img_id',
    'img_path',
    'rotation',
    'img_shape',
    'focal',
    'principal_pt',
    'input_size',
    'input_center',
    'input_scale',
    'hand_type',
    'hand_type_valid',
    'flip',
    'flip_indices',
    'abs_depth',
)
train_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='HandRandomFlip', prob=0.5),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.15,
        scale_factor=(0.75, 1.25),
        rotate_factor=90.0,
    ),
    dict(type='TopdownAffine', input_size=codec['image_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', meta_keys=meta_keys),
]
val_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['image_size']),
    dict(type='PackPoseInputs', meta_keys=meta_keys),
]

# data loaders
train_dataloader = dict(
    batch_size=16, num_workers=8, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=16, num_workers=8, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(
    batch_size=16, num_workers=8, dataset=dict(pipeline=val_pipeline)
)
auto_scale_lr = dict(base_batch_size=16)

# evaluators
default_hooks = dict(checkpoint=dict(save_best='MPJPE_all'))
val_evaluator = dict(type='mmssm.InterHand3DMetric')
test_evaluator = val_evaluator
