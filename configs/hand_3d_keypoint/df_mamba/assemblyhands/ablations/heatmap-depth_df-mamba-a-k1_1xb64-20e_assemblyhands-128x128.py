# Table 7: one anchor, K = 1.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_assemblyhands-128x128.py'

model = dict(backbone=dict(num_anchors=1))
