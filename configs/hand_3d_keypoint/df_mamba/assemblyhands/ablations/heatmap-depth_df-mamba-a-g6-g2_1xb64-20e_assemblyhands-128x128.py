# Table 10's text: one more gated convolution block in stages 4 and 6.
_base_ = '../heatmap-depth_df-mamba-a_1xb64-20e_assemblyhands-128x128.py'

model = dict(backbone=dict(depths=(3, 3, 5, 6, 2, 2)))
