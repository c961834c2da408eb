# The same head, data and recipe on ResNet-50.
_base_ = ['heatmap-depth_df-mamba-a_1xb8_synthhand-128x128.py']

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=50),
    head=dict(in_channels=2048),
)
