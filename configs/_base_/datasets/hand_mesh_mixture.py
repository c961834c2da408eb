# The mixture that HaMeR and Hamba are trained on, by the papers' weights: data sets in
# their authors' files, 2D sets through MMPose's classes, and InterHand2.6M and MTC in
# HaMeR's tars. Indices are made once by tools/dataset_converters/{dexycb,ho3d,hamer}
# _index.py. hand_mesh_mixture_tars.py has all of it in HaMeR's tars.
_base_ = ['../pipelines/hand_mesh.py']

hand_model = 'data/mano/MANO_RIGHT.pkl'
left_hand_model = 'data/mano/MANO_LEFT.pkl'
tars = 'data/hamer/dataset_tars/'
ho3d = dict(
    type='mmssm.HO3DDataset',
    split='train',
    index_file='index_train.npz',
    pipeline={{_base_.box}},
)

# part, and its share of the samples
parts = [
    (
        dict(
            type='mmssm.FreiHAND3DDataset',
            data_root='data/freihand/FreiHAND_pub_v2/',
            split='training',
            with_mano=True,
            hand_model=hand_model,
            pipeline={{_base_.box}},
        ),
        0.25,
    ),
    (
        dict(
            type='mmssm.HandMeshTarDataset',
            data_root=tars + 'interhand26m-train/',
            index_file='index.npz',
            metainfo=dict(dataset_name='interhand26m'),
            pipeline={{_base_.hamer_box}},
        ),
        0.25,
    ),
    (
        dict(
            type='mmssm.HandMeshTarDataset',
            data_root=tars + 'mtc-train/',
            index_file='index.npz',
            metainfo=dict(dataset_name='mtc'),
            pipeline={{_base_.hamer_box}},
        ),
        0.1,
    ),
    (
        dict(
            type='mmssm.Hand2DDataset',
            dataset=dict(
                type='CocoWholeBodyDataset',
                data_root='data/coco/',
                ann_file='annotations/coco_wholebody_train_v1.0.json',
                data_prefix=dict(img='train2017/'),
            ),
            hands=dict(left=91, right=112),
            metainfo=dict(dataset_name='coco_wholebody_hands'),
            pipeline={{_base_.box}},
        ),
        0.1,
    ),
    (
        dict(
            type='mmssm.RHD3DDataset',
            data_root='data/rhd/RHD_published_v2/',
            split='training',
            hands='both',
            pipeline={{_base_.box}},
        ),
        0.05,
    ),
    (
        dict(
            type='mmssm.Hand2DDataset',
            dataset=dict(
                type='HalpeDataset',
                data_root='data/halpe/',
                ann_file='annotations/halpe_train_v1.json',
                data_prefix=dict(img='hico_20160224_det/images/train2015/'),
            ),
            hands=dict(left=94, right=115),
            metainfo=dict(dataset_name='halpe_hands'),
            pipeline={{_base_.box}},
        ),
        0.05,
    ),
    (
        dict(
            type='mmssm.Hand2DDataset',
            dataset=dict(
                type='PanopticHand2DDataset',
                data_root='data/panoptic/',
                ann_file='annotations/panoptic_train.json',
                data_prefix=dict(img=''),
            ),
            hands='file_name',
            metainfo=dict(dataset_name='mpii_nzsl'),
            pipeline={{_base_.box}},
        ),
        0.05,
    ),
    (dict(**ho3d, data_root='data/ho3d/HO3D_v3/', version='v3'), 0.05),
    (
        dict(
            **ho3d,
            data_root='data/ho3d/H2O3D/',
            version='h2o3d',
            metainfo=dict(dataset_name='h2o3d'),
        ),
        0.05,
    ),
    (
        dict(
            type='mmssm.DexYCBDataset',
            data_root='data/dexycb/',
            index_file='index.npz',
            setup='s0',
            split='train',
            with_mano=True,
            hand_model=hand_model,
            left_hand_model=left_hand_model,
            pipeline={{_base_.box}},
        ),
        0.05,
    ),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmssm.WeightedCombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco_wholebody_hand.py'),
        datasets=[part for part, _ in parts],
        weights=[weight for _, weight in parts],
        # hands of HaMeR's tars, an epoch
        num_samples=2720872,
        pipeline={{_base_.augmented}},
    ),
)
del parts, ho3d
