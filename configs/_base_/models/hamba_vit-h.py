# Hamba as published: ViT-H (MMPretrain's), which sees the middle 192 columns of the
# crop. The hand model is the free one; configs for data sets with MANO's parameters
# give its file, model.head.mano.model.
_base_ = './vit_huge_256x192.py'

model = dict(
    head=dict(
        type='mmssm.HambaHead',
        in_channels=1280,
        feat_size=(16, 12),
        crop_columns=(32, 224),
        mano=dict(type='mmssm.MANO'),
        loss=dict(type='mmssm.HandMeshLoss'),
    ),
    test_cfg=dict(flip_test=False),
)
