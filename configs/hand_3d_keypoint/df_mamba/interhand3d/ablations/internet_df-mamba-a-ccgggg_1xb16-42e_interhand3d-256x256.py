# Table 8's row without deformable scan blocks, in InterNet.
_base_ = '../internet_df-mamba-a_1xb16-42e_interhand3d-256x256.py'

model = dict(backbone=dict(blocks='CCGGGG'))
