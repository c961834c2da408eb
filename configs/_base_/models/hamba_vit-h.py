# Hamba as published: ViT-H (MMPretrain's), which sees the middle 192 columns of the
# crop. The hand model is the free one; configs for data sets with MANO's parameters
# give its file, model.head.mano.model.
model = dict(
    type='mmssm.HandMeshEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type='mmpretrain.VisionTransformer',
        arch='huge',
        img_size=(256, 192),
        patch_size=16,
        patch_cfg=dict(padding=2),
        qkv_bias=True,
        with_cls_token=False,
        out_type='featmap',
        drop_path_rate=0.55,
    ),
    crop_columns=(32, 224),
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
