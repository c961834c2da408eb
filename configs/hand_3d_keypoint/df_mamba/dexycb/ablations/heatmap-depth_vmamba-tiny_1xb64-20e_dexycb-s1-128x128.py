# Table 10: VMamba-T.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py'

model = dict(
    backbone=dict(_delete_=True, type='mmssm.VMamba', arch='tiny', out_indices=(3,)),
    head=dict(in_channels=768),
)
