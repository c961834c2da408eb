# Human3.6M with Stacked-Hourglass 2D detections, in clips of 243 frames: data,
# normalisation, augmentation and metric of MotionBERT, PoseMamba and SasMamba.
_base_ = ['../pipelines/lift_clips.py']

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
            {{_base_.flip}},
            {{_base_.pack}},
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
        pipeline=[dict(type='GenerateTarget', encoder=val_codec), {{_base_.pack}}],
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# Three sequences of S9 are left out, as in the official evaluation.
skip_list = ['S9_Greet', 'S9_SittingDown', 'S9_Wait_1', 'S9_Greeting', 'S9_Waiting_1']
val_evaluator = dict(type='mmssm.LiftingMetric', skip_list=skip_list)
test_evaluator = val_evaluator
