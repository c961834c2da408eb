# The mixture that HaMeR and Hamba are trained on, by the papers' weights, whole in
# HaMeR's tars. Indices are made once by tools/dataset_converters/hamer_index.py.
_base_ = ['../pipelines/hand_mesh.py']

# folder of tars, and its share of the samples
weights = {
    'freihand': 0.25,
    'interhand26m': 0.25,
    'mtc': 0.1,
    'cocow': 0.1,
    'rhd': 0.05,
    'halpe': 0.05,
    'mpiinzsl': 0.05,
    'ho3d': 0.05,
    'h2o3d': 0.05,
    'dex': 0.05,
}

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmssm.WeightedCombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco_wholebody_hand.py'),
        datasets=[
            dict(
                type='mmssm.HandMeshTarDataset',
                data_root=f'data/hamer/dataset_tars/{name}-train/',
                index_file='index.npz',
                metainfo=dict(dataset_name=name),
            )
            for name in weights
        ],
        weights=list(weights.values()),
        # all hands, an epoch
        num_samples=2720872,
        pipeline={{_base_.hamer_train_pipeline}},
    ),
)
