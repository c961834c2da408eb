# Joints from heatmaps and their depths from depth maps on DF-Mamba a; three
# deconvolutions on the map at stride 32. Configs that inherit give the decoder.
model = dict(
    type='mmssm.TopdownHandEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type='mmssm.DFMamba', arch='a', out_indices=(5,)),
    head=dict(type='mmssm.HeatmapDepthHead', in_channels=640, num_joints=21),
    test_cfg=dict(flip_test=False),
)
