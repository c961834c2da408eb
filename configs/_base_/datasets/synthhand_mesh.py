# Generated hands in FreiHAND's layout (tools/dataset_converters/synthhand.py) with
# meshes and parameters, which are those of the free hand that ships, not of MANO.
_base_ = ['../pipelines/hand_mesh.py']

dataset = dict(
    type='mmssm.FreiHAND3DDataset',
    data_root='data/synthhand/',
    metainfo=dict(dataset_name='synthhand'),
    with_vertices=True,
    with_mano=True,
    hand_model='free_hand',
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset, split='training', pipeline={{_base_.hand_mesh_train_pipeline}}
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        **dataset,
        split='evaluation',
        pipeline={{_base_.hand_mesh_val_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
