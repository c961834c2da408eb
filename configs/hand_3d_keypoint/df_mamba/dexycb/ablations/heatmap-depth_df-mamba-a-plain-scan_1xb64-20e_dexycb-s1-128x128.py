# Table 7: without the deformable scan. D blocks scan the map as it is.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py'

model = dict(backbone=dict(num_anchors=0))
