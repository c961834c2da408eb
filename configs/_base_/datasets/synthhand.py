# Generated hands in FreiHAND's layout (tools/dataset_converters/synthhand.py).
# Configs that inherit set their pipelines.
_base_ = ['../pipelines/hand_topdown.py']

dataset = dict(
    type='mmssm.FreiHAND3DDataset',
    data_root='data/synthhand/',
    metainfo=dict(dataset_name='synthhand'),
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, split='training', pipeline={{_base_.hand_pipeline}}),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset, split='evaluation', pipeline={{_base_.hand_pipeline}}, test_mode=True
    ),
)
test_dataloader = val_dataloader
