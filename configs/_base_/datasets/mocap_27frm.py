# The embedded motion data in clips of 27 frames, seen by virtual cameras, with
# the 2D noise and occlusions of a detector; nothing is downloaded. The
# normalisation is MotionBERT's; the confidence is the third input channel.
_base_ = ['../pipelines/lift_clips.py']

train_codec = dict(
    type='MotionBERTLabel', num_keypoints=17, concat_vis=True, mode='train'
)
val_codec = dict(
    type='MotionBERTLabel', num_keypoints=17, concat_vis=True, rootrel=True
)

fold = 0
# Epochs are long, as MMEngine pauses between them: 100 cameras per window.
dataset = dict(type='mmssm.MocapDataset', fold=fold, seq_len=27, views=100)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='mmssm.EpochSampler', shuffle=True),
    dataset=dict(
        **dataset,
        pipeline=[
            dict(type='mmssm.DetectorNoise'),
            dict(type='GenerateTarget', encoder=train_codec),
            {{_base_.flip}},
            {{_base_.pack}},
        ],
    ),
)

val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        test_mode=True,
        pipeline=[
            dict(type='mmssm.DetectorNoise'),
            dict(type='GenerateTarget', encoder=val_codec),
            {{_base_.pack}},
        ],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmssm.LiftingMetric')
test_evaluator = val_evaluator
