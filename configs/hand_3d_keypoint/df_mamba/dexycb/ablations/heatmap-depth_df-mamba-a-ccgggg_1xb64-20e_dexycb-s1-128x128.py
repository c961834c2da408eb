# Table 7: no deformable scan blocks.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_dexycb-s1-128x128.py'

model = dict(backbone=dict(blocks='CCGGGG'))
