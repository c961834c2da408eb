# FreiHAND, version 2, with meshes and MANO's parameters: official training and
# evaluation sets. Poses need MANO's right hand (docs/mano.md); without it they are
# masked. Boxes are those of the joints.
_base_ = ['../pipelines/hand_mesh.py']

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
        with_mano=True,
        hand_model='data/mano/MANO_RIGHT.pkl',
        pipeline={{_base_.hand_mesh_train_pipeline}},
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
        with_vertices=True,
        pipeline={{_base_.hand_mesh_val_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
