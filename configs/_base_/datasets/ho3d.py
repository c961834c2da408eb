# HO-3D, version 3 (version 2 by --cfg-options train_dataloader.dataset.version=v2 and
# ...data_root=data/ho3d/HO3D_v2/, likewise of the others). The index is made once by
# tools/dataset_converters/ho3d_index.py. The evaluation set is read from the public
# evaluation_xyz.json and evaluation_verts.json.
_base_ = ['../pipelines/hand_mesh.py']

dataset = dict(type='mmssm.HO3DDataset', data_root='data/ho3d/HO3D_v3/', version='v3')

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        split='train',
        index_file='index_train.npz',
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
        split='evaluation',
        with_vertices=True,
        pipeline={{_base_.hand_mesh_val_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
