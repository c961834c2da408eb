# DF-Mamba on AssemblyHands' egocentric images with the training settings of the paper
# and our heatmap and depth head. Left hands are mirrored; boxes are those of the
# official baseline, 1.75 times the given ones.
_base_ = [
    '../../../_base_/schedules/hand_adam_20e.py',
    '../../../_base_/datasets/assemblyhands.py',
    '../../../_base_/models/hand_heatmap_depth.py',
]

# codec settings
codec = dict(type='mmssm.HeatmapDepth', input_size=(128, 128), root_index=0)

# model settings
model = dict(head=dict(decoder=codec))

# pipelines
train_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='GetBBoxCenterScale', padding=1.75),
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
    dict(type='GetBBoxCenterScale', padding=1.75),
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
val_evaluator = dict(
    type='mmssm.HandPoseMetric', errors=['MPJPE'], auc_ranges=[(0, 50), (20, 50)]
)
test_evaluator = val_evaluator
