# InterHand2.6M, version 1.0: training, validation and test sets with human and
# machine annotations (H+M), through MMPose's class and in its millimetres. Configs
# that inherit set their pipelines.
#
# The base is MMPose's description of the 42 joints: its class looks for it under this
# file's very name, and finds this file where the working directory is the repository.
_base_ = ['mmpose::_base_/datasets/interhand3d.py']

dataset = dict(type='mmssm.InterHand3DDataset', data_root='data/interhand2.6m/')
pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=(256, 256)),
    dict(
        type='PackPoseInputs',
        meta_keys=(
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
        ),
    ),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='annotations/train/InterHand2.6M_train_data.json',
        camera_param_file='annotations/train/InterHand2.6M_train_camera.json',
        joint_file='annotations/train/InterHand2.6M_train_joint_3d.json',
        data_prefix=dict(img='images/train/'),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        ann_file='annotations/val/InterHand2.6M_val_data.json',
        camera_param_file='annotations/val/InterHand2.6M_val_camera.json',
        joint_file='annotations/val/InterHand2.6M_val_joint_3d.json',
        data_prefix=dict(img='images/val/'),
        pipeline=pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        ann_file='annotations/test/InterHand2.6M_test_data.json',
        camera_param_file='annotations/test/InterHand2.6M_test_camera.json',
        joint_file='annotations/test/InterHand2.6M_test_joint_3d.json',
        data_prefix=dict(img='images/test/'),
        pipeline=pipeline,
        test_mode=True,
    ),
)
