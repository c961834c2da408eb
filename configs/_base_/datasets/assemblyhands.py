# AssemblyHands, the headset's images. The test set's joints are not public: it is
# the validation set that is tested. Configs that inherit set their pipelines.
_base_ = ['../pipelines/hand_topdown.py']

dataset = dict(type='mmssm.AssemblyHandsDataset', data_root='data/assemblyhands/')

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, split='train', pipeline={{_base_.hand_pipeline}}),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset, split='val', pipeline={{_base_.hand_pipeline}}, test_mode=True
    ),
)
test_dataloader = val_dataloader
