# Table 10: ResNet-152.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_assemblyhands-128x128.py'

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=152),
    head=dict(in_channels=2048),
)
