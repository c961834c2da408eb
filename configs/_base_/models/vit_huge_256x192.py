# Crops of 256 pixels of which a ViT-H/16 sees the 192 columns in the middle, as in
# HaMeR and Hamba; needs mmpretrain (requirements/optional.txt). HaMeR's weights:
# tools/model_converters/hamer_vit.py. Configs that inherit give the head, with
# in_channels=1280, feat_size=(16, 12) and the same crop_columns.
model = dict(
    type='mmssm.HandMeshEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    crop_columns=(32, 224),
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
)
