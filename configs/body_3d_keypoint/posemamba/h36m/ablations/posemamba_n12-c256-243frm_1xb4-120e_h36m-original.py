# Table 6: 12 blocks (depth counts pairs) of width 256.
_base_ = '../posemamba_s-243frm_1xb4-120e_h36m-original.py'

model = dict(
    backbone=dict(arch=None, embed_dims=256, depth=6), head=dict(in_channels=256)
)
