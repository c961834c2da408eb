# FreiHAND, version 2: official training and evaluation sets. Boxes are
# those of the joints. Configs that inherit set their pipelines.
_base_ = ['../pipelines/hand_topdown.py']

dataset = dict(type='mmssm.FreiHAND3DDataset')

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        data_root='data/freihand/FreiHAND_pub_v2/',
        split='training',
        pipeline={{_base_.hand_pipeline}},
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        data_root='data/freihand/FreiHAND_pub_v2_eval/',
        split='evaluation',
        pipeline={{_base_.hand_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
