# HaMeR's evaluation files: FreiHAND (HO-3D by --cfg-options
# test_dataloader.dataset.ann_file=ho3d_val.npz and ...img_dir=..., likewise HInt's
# TEST_newdays_img_all.npz and the others, with pipeline.1 of hint_val_pipeline).
_base_ = ['../pipelines/hand_mesh.py']

val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='mmssm.HandMeshNpzDataset',
        data_root='data/hamer/hamer_evaluation_data/',
        ann_file='freihand_val.npz',
        img_dir='images/freihand',
        metainfo=dict(dataset_name='freihand_val'),
        pipeline={{_base_.hamer_val_pipeline}},
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
