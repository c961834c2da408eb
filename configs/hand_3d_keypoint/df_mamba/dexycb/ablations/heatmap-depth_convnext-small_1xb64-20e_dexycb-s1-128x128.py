# Table 10: ConvNeXt-S; needs mmpretrain.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.ConvNeXt',
        arch='small',
        gap_before_final_norm=False,
    ),
    head=dict(in_channels=768),
)
