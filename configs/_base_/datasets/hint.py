# HInt: joints in the plane of hands in videos; New Days of Hands (others by
# --cfg-options test_dataloader.dataset.source=epick_img, ego4d_img). The crop is twice
# the longer side of the box, as in HaMeR's evaluation.
_base_ = ['../pipelines/hand_mesh.py']

dataset = dict(
    type='mmssm.HIntDataset',
    data_root='data/hint/HInt_annotation/',
    source='newdays_img',
    bbox_order='xyxy',
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, split='TRAIN', pipeline={{_base_.hint_train_pipeline}}),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        split='VAL',
        pipeline={{_base_.hint_val_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        split='TEST',
        pipeline={{_base_.hint_val_pipeline}},
        test_mode=True,
    ),
)
