# MPI-INF-3DHP in clips of 27 frames: files, normalisation, augmentation and metric
# of P-STMO and MotionAGFormer, with the joints in Human3.6M's order. Input is the
# annotated 2D joints with a third channel of ones; a unit of the label is 1024 mm.
_base_ = ['../pipelines/lift_clips.py']

train_codec = dict(
    type='MotionBERTLabel', num_keypoints=17, concat_vis=True, mode='train'
)
val_codec = dict(
    type='MotionBERTLabel', num_keypoints=17, concat_vis=True, rootrel=True
)

dataset = dict(
    type='mmssm.MpiInf3dhpDataset', data_root='data/mpi_inf_3dhp/', seq_len=27
)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='mmssm.EpochSampler', shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='data_train_3dhp.npz',
        stride=9,
        pipeline=[
            dict(type='GenerateTarget', encoder=train_codec),
            {{_base_.flip}},
            {{_base_.pack}},
        ],
    ),
)

val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        ann_file='data_test_3dhp.npz',
        # the frame in the middle of a window; False: every frame of clips side by
        # side
        center_target=True,
        # TS5 and TS6 are scaled by their own width, as in the released evaluations
        decode_by_width=True,
        pipeline=[dict(type='GenerateTarget', encoder=val_codec), {{_base_.pack}}],
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmssm.MpiInf3dhpMetric')
test_evaluator = val_evaluator
