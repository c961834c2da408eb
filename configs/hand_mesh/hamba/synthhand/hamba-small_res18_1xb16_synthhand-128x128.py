# Hamba's head, small, on generated hands: a recipe for minutes of a CPU. The hand
# model is the free hand that ships, not MANO.
_base_ = [
    '../../../_base_/schedules/synthhand_iters.py',
    '../../../_base_/datasets/synthhand_mesh.py',
]

# schedule
train_cfg = dict(max_iters=2000, val_interval=500)

# hooks
default_hooks = dict(visualization=dict(type='mmssm.HandMeshVisualizationHook'))
visualizer = dict(type='mmssm.HandMeshVisualizer')

# codec settings
codec = dict(type='mmssm.HandMesh', input_size=(128, 128))

# model settings
model = dict(
    type='mmssm.HandMeshEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    # half as wide as usual and without its last stage: a map of 8 x 8
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    head=dict(
        type='mmssm.HambaHead',
        arch='small',
        in_channels=128,
        feat_size=(8, 8),
        crop_size=128,
        first_cell=0.0,
    ),
)

# pipelines
train_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='mmssm.HandMeshCropBox', factor=1.4, aspect=None),
    dict(type='mmssm.HandMeshCropJitter', scale=0.15, rotation=20, shift=0.05),
    dict(type='mmssm.HandMeshCropAffine', input_size=codec['input_size']),
    dict(type='mmssm.MirrorLeftHand'),
    dict(type='mmssm.RandomChannelGain'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_mesh_meta_keys}}),
]
val_pipeline = [
    dict(type='mmssm.LoadCheckedImage'),
    dict(type='mmssm.HandMeshCropBox', factor=1.4, aspect=None),
    dict(type='mmssm.HandMeshCropAffine', input_size=codec['input_size']),
    dict(type='mmssm.MirrorLeftHand'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs', meta_keys={{_base_.hand_mesh_meta_keys}}),
]

# data loaders
train_dataloader = dict(
    batch_size=16,
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
    type='mmssm.HandMeshMetric', errors=['PA-MPJPE', 'PA-MPVPE', 'MPJPE', 'MPVPE']
)
test_evaluator = val_evaluator
