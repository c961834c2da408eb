# Human3.6M with Stacked-Hourglass 2D detections in the file that MotionBERT
# released, cut into the clips of its reader: what PoseMamba and SasMamba were
# trained on. The same data in MMPose's files: h36m_sh_243frm.py.
_base_ = ['../pipelines/lift_clips.py']

train_codec = dict(type='MotionBERTLabel', num_keypoints=17, mode='train')
val_codec = dict(type='MotionBERTLabel', num_keypoints=17, rootrel=True)

dataset = dict(
    type='mmssm.Human36mMotionBERTDataset',
    data_root='data/motion3d/',
    ann_file='h36m_sh_conf_cam_source_final.pkl',
    seq_len=243,
)
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmssm.EpochSampler', shuffle=True),
    dataset=dict(
        **dataset,
        stride=81,
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
        pipeline=[dict(type='GenerateTarget', encoder=val_codec), {{_base_.pack}}],
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

# Three sequences of S9 are left out, as in the official evaluation.
skip_list = ['S9_Greet', 'S9_SittingDown', 'S9_Wait_1']
val_evaluator = dict(type='mmssm.LiftingMetric', skip_list=skip_list)
test_evaluator = val_evaluator
