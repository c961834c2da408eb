# DF-Mamba on NYU's depth images, one channel, with the training settings of the paper.
# The head is our heatmap and depth head; the paper's framework here is another one.
# Depths are relative to the cube's centre, which is given.
_base_ = [
    '../../../_base_/schedules/hand_adam_17e.py',
    '../../../_base_/datasets/nyu.py',
    '../../../_base_/models/hand_heatmap_depth.py',
]

# codec settings: the palm is the last of 14 joints
codec = dict(type='mmssm.HeatmapDepth', input_size=(176, 176), root_index=13)

# model settings
model = dict(
    data_preprocessor=dict(_delete_=True, type='PoseDataPreprocessor'),
    backbone=dict(in_channels=1),
    head=dict(num_joints=14, decoder=codec),
)

# pipelines: no change of scale, which would have to change depths too
train_pipeline = [
    dict(type='mmssm.LoadDepthImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.05,
        shift_prob=1.0,
        scale_prob=0.0,
        rotate_factor=180,
        rotate_prob=1.0,
    ),
    dict(type='mmssm.TopdownDepthAffine', input_size=codec['input_size']),
    dict(type='mmssm.NormalizeDepth'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_meta_keys}}),
]
val_pipeline = [
    dict(type='mmssm.LoadDepthImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='mmssm.TopdownDepthAffine', input_size=codec['input_size']),
    dict(type='mmssm.NormalizeDepth'),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_meta_keys}}),
]

# data loaders
train_dataloader = dict(
    batch_size=64, num_workers=8, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=64, num_workers=8, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(
    batch_size=64, num_workers=8, dataset=dict(pipeline=val_pipeline)
)

# evaluators: absolute, over all joints at once
default_hooks = dict(checkpoint=dict(save_best='mean-error'))
val_evaluator = dict(type='mmssm.HandPoseMetric', errors=['mean-error'])
test_evaluator = val_evaluator
