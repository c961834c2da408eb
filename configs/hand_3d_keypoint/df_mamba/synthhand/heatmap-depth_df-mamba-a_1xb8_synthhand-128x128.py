# DF-Mamba a on generated hands: a recipe for minutes of a CPU.
_base_ = [
    '../../../_base_/schedules/synthhand_iters.py',
    '../../../_base_/datasets/synthhand.py',
    '../../../_base_/models/hand_heatmap_depth.py',
]

# codec settings
codec = dict(type='mmssm.HeatmapDepth', input_size=(128, 128), root_index=0)

# model settings
model = dict(head=dict(decoder=codec, heatmap_loss_weight=0.1))

# pipelines
train_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.1,
        shift_prob=1.0,
        scale_factor=(0.85, 1.15),
        rotate_factor=15,
    ),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_meta_keys}}),
]
val_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_meta_keys}}),
]

# data loaders
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=32, num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(
    batch_size=32, num_workers=1, dataset=dict(pipeline=val_pipeline)
)

# evaluators
val_evaluator = dict(
    type='mmssm.HandPoseMetric',
    errors=['MPJPE', 'PA-MPJPE'],
    auc_ranges=[(0, 50), (20, 50)],
)
test_evaluator = val_evaluator
