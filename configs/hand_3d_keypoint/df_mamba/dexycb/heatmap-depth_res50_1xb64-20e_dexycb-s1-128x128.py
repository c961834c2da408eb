# The same head and recipe on ResNet-50, from scratch like the rest.
_base_ = ['heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py']

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50),
    head=dict(in_channels=2048),
)
