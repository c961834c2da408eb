# Human3.6M with Stacked-Hourglass 2D detections, in clips of 243 frames: data,
# normalisation, augmentation and metric of MotionBERT, PoseMamba and SasMamba.
train_codec = dict(type='MotionBERTLabel', num_keypoints=17, mode='train')
val_codec = dict(type='MotionBERTLabel', num_keypoints=17, rootrel=True)

data_root = 'data/h36m/'
dataset = dict(
    type='mmssm.Human36mDataset',
    data_root=data_root,
    data_prefix=dict(img='images/'),
    camera_param_file='annotation_body3d/cameras.pkl',
    seq_len=1,
    multiple_target=243,
)
pack = dict(
    type='PackPoseInputs',
    # the keypoints are kept for the pictures
    meta_keys=(
        'id',
        'category_id',
        'target_img_path',
        'flip_indices',
        'factor',
        'camera_param',
        'keypoints',
        'keypoints_visible',
    ),
)

train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    # tells the dataset the epoch, from which it draws its flips
    sampler=dict(type='mmssm.EpochSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='annotation_body3d/fps50/h36m_train_original.npz',
        multiple_target_step=81,
        pipeline=[
            dict(type='GenerateTarget', encoder=train_codec),
            dict(
                type='RandomFlipAroundRoot',
                keypoints_flip_cfg=dict(center_mode='static', center_x=0.0),
                target_flip_cfg=dict(center_mode='static', center_x=0.0),
                flip_label=True,
            ),
            pack,
        ],
    ),
)

val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        ann_file='annotation_body3d/fps50/h36m_test_original.npz',
        factor_file='annotation_body3d/fps50/h36m_factors.npy',
        seq_step=1,
        pipeline=[dict(type='GenerateTarget', encoder=val_codec), pack],
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# Three sequences of S9 are left out, as in the official evaluation.
skip_list = ['S9_Greet', 'S9_SittingDown', 'S9_Wait_1', 'S9_Greeting', 'S9_Waiting_1']
val_evaluator = dict(type='mmssm.LiftingMetric', skip_list=skip_list)
test_evaluator = val_evaluator
