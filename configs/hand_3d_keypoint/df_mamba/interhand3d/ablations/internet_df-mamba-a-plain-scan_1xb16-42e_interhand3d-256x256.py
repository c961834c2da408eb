# Table 8's row without the deformable scan, in InterNet: D blocks scan plainly.
_base_ = '../internet_df-mamba-a_1xb16-42e_interhand3d-256x256.py'

model = dict(backbone=dict(num_anchors=0))
