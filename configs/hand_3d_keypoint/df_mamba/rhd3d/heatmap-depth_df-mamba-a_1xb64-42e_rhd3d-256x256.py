# DF-Mamba on RHD with the training settings of the paper. The head is our heatmap and
# depth head; the paper's framework here is another one. Left hands are mirrored.
_base_ = [
    '../../../_base_/schedules/hand_adam_42e.py',
    '../../../_base_/datasets/rhd3d.py',
    '../../../_base_/models/hand_heatmap_depth.py',
]

# codec settings
codec = dict(type='mmssm.HeatmapDepth', input_size=(256, 256), root_index=0)

# model settings
model = dict(head=dict(decoder=codec))

# pipelines
train_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.15,
        shift_prob=1.0,
        scale_factor=(0.75, 1.25),
        rotate_factor=90,
    ),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='mmssm.MirrorLeftHand'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_meta_keys}}),
]
val_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='mmssm.MirrorLeftHand'),
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

# evaluators
default_hooks = dict(checkpoint=dict(save_best='EPE'))
val_evaluator = dict(
    type='mmssm.HandPoseMetric', errors=['EPE'], auc_ranges=[(0, 50), (20, 50)]
)
test_evaluator = val_evaluator
