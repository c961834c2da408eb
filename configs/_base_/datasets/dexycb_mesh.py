# DexYCB with MANO's parameters, setup s1 (unseen subjects; others by
# --cfg-options train_dataloader.dataset.setup=s0 ...). Poses are coefficients of
# components in MANO's two files (docs/mano.md). The index is made once by
# tools/dataset_converters/dexycb_index.py.
_base_ = ['../pipelines/hand_mesh.py']

dataset = dict(
    type='mmssm.DexYCBDataset',
    data_root='data/dexycb/',
    index_file='index.npz',
    setup='s1',
)

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        **dataset,
        split='train',
        with_mano=True,
        hand_model='data/mano/MANO_RIGHT.pkl',
        left_hand_model='data/mano/MANO_LEFT.pkl',
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
        split='val',
        pipeline={{_base_.hand_mesh_val_pipeline}},
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
        split='test',
        pipeline={{_base_.hand_mesh_val_pipeline}},
        test_mode=True,
    ),
)
