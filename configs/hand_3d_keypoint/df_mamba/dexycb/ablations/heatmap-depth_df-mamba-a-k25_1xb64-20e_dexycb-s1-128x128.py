# Table 7: 25 anchors, K = 5 * 5.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py'

model = dict(backbone=dict(num_anchors=25))
