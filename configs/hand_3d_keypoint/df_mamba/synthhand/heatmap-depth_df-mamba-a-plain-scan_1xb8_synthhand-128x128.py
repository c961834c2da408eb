# The same without deformable scan: D blocks scan the map as it is.
_base_ = ['heatmap-depth_df-mamba-a_1xb8_synthhand-128x128.py']

model = dict(backbone=dict(num_anchors=0))
